"""The exception of the API's errors."""

from __future__ import annotations

import json

from keelback.jetstream.errors import EXTERNAL_DELIVER_OVERLAP, STREAM_NOT_FOUND, invalid_config


def test_json_has_the_keys_in_order() -> None:
    error = STREAM_NOT_FOUND.error()
    assert json.dumps(error.to_json()) == (
        '{"code": 404, "err_code": 10059, "description": "stream not found"}'
    )
    assert str(error) == "stream not found (10059)"


def test_placeholders_are_filled() -> None:
    error = EXTERNAL_DELIVER_OVERLAP.error(prefix="p", subject="s.>")
    assert error.description == (
        "stream external delivery prefix p overlaps with stream subject s.>"
    )


def test_braces_of_a_value_stand_as_they_are() -> None:
    assert invalid_config("in {{wildcard(1)}} {err}").description == "in {{wildcard(1)}} {err}"
