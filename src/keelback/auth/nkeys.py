"""NATS's text form of Ed25519 and X25519 keys: read, write, make, verify.

The form is base32 without padding of: a prefix byte, 32 bytes of key, and a CRC-16 (XMODEM)
of both, little end first. Private keys are never written here.

Source: the nkeys specification (github.com/nats-io/nkeys, README); checked against keys that
nats-server 2.15 printed.
"""

from __future__ import annotations

import binascii
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
VALUES: Final = {letter: value for value, letter in enumerate(ALPHABET)}

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
PUBLIC_BYTES: Final = 1 + KEY_BYTES + 2
PUBLIC_LETTERS: Final = PUBLIC_BYTES * 8 // 5
# A public key fills its base32 letters to the last bit: no padding and one spelling only.
assert PUBLIC_LETTERS * 5 == PUBLIC_BYTES * 8  # noqa: S101

PREFIXES: Final = {
    "A": 0 << 3,
    "C": 2 << 3,
    "N": 13 << 3,
    "O": 14 << 3,
    "U": 20 << 3,
    "X": 23 << 3,
}
"""The first letter of a public key, and the prefix byte that gives it: account, cluster, server
(node), operator, user, curve."""


class NkeyError(ValueError):
    """A text is not a public nkey of the kind asked for; the message says why."""


def encode_public(kind: str, key: bytes) -> str:
    """The 56 letters of a public key; `kind` is its first letter."""
    if len(key) != KEY_BYTES:
        raise NkeyError(f"a key has {KEY_BYTES} bytes, got {len(key)}")
    body = bytes((PREFIXES[kind],)) + key
    whole = body + binascii.crc_hqx(body, 0).to_bytes(2, "little")
    number = int.from_bytes(whole, "big")
    return "".join(
        ALPHABET[(number >> shift) & 31] for shift in range((PUBLIC_LETTERS - 1) * 5, -1, -5)
    )


def decode_public(text: str, kind: str | None = None) -> bytes:
    """The 32 bytes of a public key.

    Args:
        text: 56 letters.
        kind: the first letter it must have; None accepts every kind of public key.

    Raises:
        NkeyError: wrong length, letter, checksum or kind.
    """
    if len(text) != PUBLIC_LETTERS:
        raise NkeyError(f"a public nkey has {PUBLIC_LETTERS} letters, got {len(text)}")
    number = 0
    for letter in text:
        value = VALUES.get(letter)
        if value is None:
            raise NkeyError(f"{letter!r} is not a base32 letter")
        number = number << 5 | value
    whole = number.to_bytes(PUBLIC_BYTES, "big")
    body, checksum = whole[:-2], whole[-2:]
    if binascii.crc_hqx(body, 0).to_bytes(2, "little") != checksum:
        raise NkeyError("the checksum of the nkey does not match")
    allowed = PREFIXES.values() if kind is None else (PREFIXES[kind],)
    if body[0] not in allowed:
        raise NkeyError(f"not a public nkey of kind {kind or '/'.join(PREFIXES)}")
    return body[1:]


def is_public(text: str, kind: str) -> bool:
    """Whether `text` is a public key of that kind."""
    try:
        decode_public(text, kind)
    except NkeyError:
        return False
    return True


def decode_signature(text: str) -> bytes | None:
    """A signature as CONNECT carries it: base64, raw URL form first, else the standard one."""
    # Raw URL: no padding. The decoder wants it, so it is added; a text that has some is not raw.
    raw = text.translate({ord("-"): "+", ord("_"): "/", ord("+"): "?", ord("/"): "?"})
    for candidate in (raw + "=" * (-len(raw) % 4) if "=" not in raw else None, text):
        if candidate is None:
            continue
        try:
            return binascii.a2b_base64(candidate, strict_mode=True)
        except ValueError:
            continue
    return None


def verify(public_key: str, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64) of `message` was made with the private half of a user key."""
    signature_bytes = decode_signature(signature)
    if signature_bytes is None or len(signature_bytes) != SIGNATURE_BYTES:
        return False
    try:
        key = decode_public(public_key, "U")
    except NkeyError:
        return False
    # Imported at the first login by nkey: it takes longer than the start of an embedded server.
    from nacl.bindings import crypto_sign_open  # noqa: PLC0415
    from nacl.exceptions import BadSignatureError  # noqa: PLC0415

    try:
        crypto_sign_open(signature_bytes + message, key)
    except BadSignatureError:
        return False
    return True


class ServerKeys:
    """A server's identity: an Ed25519 pair and a curve pair, made anew at each start.

    Attributes:
        server_id: public key, `N…`.
        xkey: public curve key, `X…`.
        seed: the private half of `server_id` (32 bytes); signs what the server vouches for.
        curve_seed: the private half of `xkey` (32 bytes).
    """

    __slots__ = ("curve_seed", "seed", "server_id", "xkey")

    def __init__(self, seed: bytes, curve_seed: bytes) -> None:
        public, curve_public = _public_halves(seed, curve_seed)
        self.seed = seed
        self.curve_seed = curve_seed
        self.server_id = encode_public("N", public)
        self.xkey = encode_public("X", curve_public)

    @classmethod
    def generate(cls) -> ServerKeys:
        """New keys from the system's randomness."""
        return cls(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))

    def __repr__(self) -> str:
        """Without the seeds: this ends up in logs and tracebacks."""
        return f"ServerKeys({self.server_id})"


def _public_halves(seed: bytes, curve_seed: bytes) -> tuple[bytes, bytes]:
    """Ed25519 and X25519 public keys by libsodium.

    `nacl._sodium` alone imports in 1.5 ms, `nacl.bindings` in 6 more, and this stands between the
    call and the open listener. The public face is the way out should the inner one ever move.
    """
    import importlib  # noqa: PLC0415

    try:
        sodium: Any = importlib.import_module("nacl._sodium")
    except ImportError:
        return _public_halves_by_bindings(seed, curve_seed)
    lib, ffi = sodium.lib, sodium.ffi
    if lib.sodium_init() < 0:
        raise RuntimeError("libsodium could not be initialised")
    public = ffi.new("unsigned char[]", KEY_BYTES)
    secret = ffi.new("unsigned char[]", 2 * KEY_BYTES)
    curve_public = ffi.new("unsigned char[]", KEY_BYTES)
    if lib.crypto_sign_seed_keypair(public, secret, seed) != 0:
        raise RuntimeError("libsodium made no Ed25519 key pair")
    if lib.crypto_scalarmult_base(curve_public, curve_seed) != 0:
        raise RuntimeError("libsodium made no X25519 key")
    return bytes(ffi.buffer(public)), bytes(ffi.buffer(curve_public))


def _public_halves_by_bindings(seed: bytes, curve_seed: bytes) -> tuple[bytes, bytes]:
    from nacl.bindings import crypto_scalarmult_base, crypto_sign_seed_keypair  # noqa: PLC0415

    return crypto_sign_seed_keypair(seed)[0], crypto_scalarmult_base(curve_seed)
