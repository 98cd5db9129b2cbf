"""User nkeys that need no file: the key of a name is the same in each run.

Source: nkeys README: base32 of a prefix byte, 32 bytes of key, and a CRC-16/XMODEM, low byte first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from nacl.signing import SigningKey

PREFIX_USER: Final = 20 << 3


def signing_key(name: str) -> SigningKey:
    """The Ed25519 key that belongs to `name`: its seed is the SHA-256 of the name."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def public_key(name: str) -> str:
    """The public user nkey (`U…`, 56 characters) of `name`."""
    body = bytes([PREFIX_USER]) + bytes(signing_key(name).verify_key)
    checksum = binascii.crc_hqx(body, 0).to_bytes(2, "little")
    return base64.b32encode(body + checksum).decode().rstrip("=")


def sign(name: str, nonce: str) -> str:
    """The signature of an INFO's `nonce` with the key of `name`, as base64 raw-url."""
    signature = signing_key(name).sign(nonce.encode()).signature
    return base64.urlsafe_b64encode(signature).decode().rstrip("=")
