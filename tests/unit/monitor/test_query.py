"""Parameters as nats-server reads them. The texts are its own."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelback.monitor.query import Query, QueryError


def test_of_a_name_that_is_given_twice_the_first_counts() -> None:
    assert Query("acc=A&acc=B").text("acc") == "A"


def test_escapes_and_pluses_are_decoded() -> None:
    assert Query("acc=a%20b+c%C3%A9").text("acc") == "a b cé"


@pytest.mark.parametrize("raw", ["a;b=1&limit=3", "x=%zz&limit=3", "x=%4&limit=3", "&&limit=3"])
def test_a_pair_that_cannot_be_read_is_dropped_alone(raw: str) -> None:
    assert Query(raw).integer("limit") == 3


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_what_is_true(text: str) -> None:
    assert Query(f"auth={text}").flag("auth")


@pytest.mark.parametrize("text", ["", "0", "f", "F", "FALSE", "false", "False"])
def test_what_is_false(text: str) -> None:
    assert not Query(f"auth={text}").flag("auth")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("auth=yes", "boolean for 'auth': strconv.ParseBool: parsing \"yes\": invalid syntax"),
        ("limit=x", "int for 'limit': strconv.Atoi: parsing \"x\": invalid syntax"),
        ("limit=1_0", "int for 'limit': strconv.Atoi: parsing \"1_0\": invalid syntax"),
        ("limit=%2B-1", "int for 'limit': strconv.Atoi: parsing \"+-1\": invalid syntax"),
        (
            "limit=9223372036854775808",
            "int for 'limit': strconv.Atoi: parsing \"9223372036854775808\": value out of range",
        ),
        ("cid=-1", "uint64 for 'cid': strconv.ParseUint: parsing \"-1\": invalid syntax"),
        ("cid=%2B1", "uint64 for 'cid': strconv.ParseUint: parsing \"+1\": invalid syntax"),
        ("state=ajar", "state for ajar"),
    ],
)
def test_a_wrong_parameter_is_refused_in_gos_words(raw: str, text: str) -> None:
    query = Query(raw)
    with pytest.raises(QueryError) as caught:
        _ = query.flag("auth"), query.integer("limit"), query.unsigned("cid"), query.state()
    assert str(caught.value) == f"Error decoding {text}"


def test_numbers_may_have_a_sign_and_zeros() -> None:
    assert Query("limit=%2B007").integer("limit") == 7
    assert Query("limit=-9223372036854775808").integer("limit") == -(2**63)
    assert Query("cid=18446744073709551615").unsigned("cid") == 2**64 - 1


def test_subscriptions_may_be_detailed() -> None:
    assert Query("subs=Detail").subscriptions() == (False, True)
    assert Query("subs=1").subscriptions() == (True, False)


@given(raw=st.text(max_size=200))
def test_any_text_is_read_or_refused(raw: str) -> None:
    query = Query(raw + "&limit=" + raw)
    with contextlib.suppress(QueryError):
        assert isinstance(query.integer("limit"), int)
