"""Users and keys that the clients' tests log in with; made anew for each run."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from nacl.signing import SigningKey

USER = "derek"
PASSWORD = 's3cr et-with "signs"'
TOKEN = "to-ken-of-the-tests"

USER_CONFIGURATION = f"""
authorization {{
  users: [
    {{ user: {USER}, password: '{PASSWORD}', permissions: {{
        publish: {{ allow: ">", deny: "forbidden" }}, subscribe: {{ deny: "forbidden" }} }} }}
  ]
}}
"""

TOKEN_CONFIGURATION = f'authorization {{ token: "{TOKEN}" }}\n'


@dataclass(frozen=True, slots=True)
class UserKey:
    """An nkey of the kind `user`, as text."""

    seed: str
    public: str


def new_user_key() -> UserKey:
    """Make a user nkey.

    Source: the nkeys format: prefix byte(s), 32 bytes, CRC-16/XMODEM little-endian, base32.
    """
    key = SigningKey.generate()
    # Seeds carry two prefixes in 16 bits: `S` (18 << 3) and then `U` (20 << 3), five bits each.
    kind_seed, kind_user = 18 << 3, 20 << 3
    seed_prefix = bytes([kind_seed | kind_user >> 5, (kind_user & 31) << 3])
    return UserKey(
        seed=_encode(seed_prefix + bytes(key)),
        public=_encode(bytes([kind_user]) + bytes(key.verify_key)),
    )


def nkey_configuration(key: UserKey) -> str:
    """A configuration that lets this key in and nobody else."""
    return f"authorization {{ users: [ {{ nkey: {key.public} }} ] }}\n"


def _encode(data: bytes) -> str:
    whole = data + _crc16(data).to_bytes(2, "little")
    return base64.b32encode(whole).decode().rstrip("=")


def _crc16(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, initially 0."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1
            crc &= 0xFFFF
    return crc
