"""Whether a text is a public nkey: its kind, its length and its checksum.

Knows no cryptography: whether somebody holds the key is for the room that authenticates.
Source: the nkeys specification (base32 without padding, one prefix byte, CRC-16/XMODEM, little
endian).
"""

from __future__ import annotations

import binascii

USER = 20 << 3
ACCOUNT = 0
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEY_CHARS = 56
_KEY_BYTES = 35


def is_public_nkey(text: str, kind: int) -> bool:
    """Whether `text` is a public key of one kind: `USER` or `ACCOUNT`."""
    if len(text) != _KEY_CHARS or any(char not in _ALPHABET for char in text):
        return False
    number = 0
    for char in text:
        number = number << 5 | _ALPHABET.index(char)
    raw = number.to_bytes(_KEY_BYTES, "big")
    checksum = int.from_bytes(raw[-2:], "little")
    return raw[0] == kind and binascii.crc_hqx(raw[:-2], 0) == checksum
