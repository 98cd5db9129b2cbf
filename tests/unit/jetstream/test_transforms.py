"""Transforms that cannot be, where no request brings them."""

from __future__ import annotations

import pytest

from keelback.jetstream.transforms import TransformError, check_mapping, check_transform


def test_without_a_destination_there_is_nothing_to_check() -> None:
    check_mapping("a..b", "")
    check_transform("a..b", "")


def test_the_complaint_names_the_token() -> None:
    with pytest.raises(TransformError, match=r"^invalid mapping destination: unknown function in"):
        check_mapping("a.*", "b.{{nope(1)}}")


def test_a_number_of_many_digits_is_no_number() -> None:
    # `$` and no number stand for themselves.
    check_transform("a.*", "$" + "9" * 10_000)
    with pytest.raises(TransformError, match="invalid or in the wrong format"):
        check_transform("a.*", "{{wildcard(" + "9" * 10_000 + ")}}")
    check_transform("a.*", "{{wildcard(" + "0" * 100 + "1)}}")
