"""Public keys as text, and signatures over a nonce."""

import base64
from collections.abc import Callable

import pytest
from nacl.signing import SigningKey

from keelback.auth import nkeys

# Printed by nats-server 2.15.1 as `server_id` and `xkey`.
SERVER_ID = "NDWQT2ECWRTCUICNT7N7DEB7EW75PDB6IBLTQP3ISJIZTK7KRLJEQX7Y"
XKEY = "XB4O4CXNIA6X7JNDH2CLZ3L7S3BQTK6MZQJXRHAVEQNLCJEFG65RMNA3"
# From the nkeys documentation.
USER = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


@pytest.mark.parametrize(("text", "kind"), [(SERVER_ID, "N"), (XKEY, "X"), (USER, "U")])
def test_genuine_keys_read_and_write_the_same(text: str, kind: str) -> None:
    key = nkeys.decode_public(text, kind)
    assert len(key) == 32
    assert nkeys.encode_public(kind, key) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (USER[:-1], "letters"),
        (USER[:-1] + "5", "checksum"),
        (USER[:10] + "A" + USER[11:], "checksum"),
        (USER.lower(), "base32"),
        (USER[:-1] + "1", "base32"),
        (SERVER_ID, "kind U"),
    ],
)
def test_what_is_not_a_user_key_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(nkeys.NkeyError, match=why):
        nkeys.decode_public(text, "U")
    assert not nkeys.is_public(text, "U")


def test_a_server_key_is_the_public_half_of_its_seed() -> None:
    keys = nkeys.ServerKeys.generate()
    public = bytes(SigningKey(keys.seed).verify_key)
    assert keys.server_id == nkeys.encode_public("N", public)
    assert keys.xkey.startswith("X")
    assert nkeys.is_public(keys.xkey, "X")
    assert nkeys.ServerKeys.generate().server_id != keys.server_id


def test_both_ways_into_libsodium_make_the_same_keys() -> None:
    seed, curve_seed = b"s" * 32, b"c" * 32
    assert nkeys._public_halves(seed, curve_seed) == nkeys._public_halves_by_bindings(
        seed, curve_seed
    )


def test_keys_do_not_show_their_seeds() -> None:
    keys = nkeys.ServerKeys(b"s" * 32, b"c" * 32)
    assert "ssss" not in repr(keys)
    assert "cccc" not in repr(keys)


NONCE = b"abcdefghijklmno"


def signed(nonce: bytes = NONCE) -> tuple[str, bytes]:
    key = SigningKey(b"k" * 32)
    return nkeys.encode_public("U", bytes(key.verify_key)), key.sign(nonce).signature


@pytest.mark.parametrize(
    "encode",
    [
        lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
        lambda raw: base64.b64encode(raw).decode(),
    ],
)
def test_a_signature_is_read_in_both_base64_forms(encode: Callable[[bytes], str]) -> None:
    user, signature = signed()
    assert nkeys.verify(user, NONCE, encode(signature))
    assert not nkeys.verify(user, b"another nonce!!", encode(signature))


def test_alphabets_of_a_signature_are_not_mixed() -> None:
    assert nkeys.decode_signature("-_-_") == base64.b64decode("+/+/")
    assert nkeys.decode_signature("+/+/") == base64.b64decode("+/+/")
    assert nkeys.decode_signature("+_+_") is None


@pytest.mark.parametrize("signature", ["", "====", "AAAA", "\u00e9" * 86, "A" * 86, "A" * 200])
def test_a_broken_signature_is_no_signature(signature: str) -> None:
    user, _ = signed()
    assert not nkeys.verify(user, NONCE, signature)


def test_the_key_of_an_account_signs_for_nobody() -> None:
    _, signature = signed()
    account = nkeys.encode_public("A", bytes(SigningKey(b"k" * 32).verify_key))
    assert not nkeys.verify(account, NONCE, base64.b64encode(signature).decode())
