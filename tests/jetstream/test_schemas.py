"""Every answer and advisory is what its JSON Schema says, as nats-server's are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest

from tests.jetstream import batch_scripts, scripts, test_advisories
from tests.jetstream.scripts import api
from tests.jetstream.session import Session
from tests.support.servers import REPOSITORY, TARGETS, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.servers import Target

SCHEMAS: Final = REPOSITORY.parent / "shared/nats/schemas/jetstream"
pytestmark = pytest.mark.skipif(not SCHEMAS.exists(), reason="no schemas beside this project")

FOLDERS: Final = {
    "io.nats.jetstream.api.v1.": "api/v1",
    "io.nats.jetstream.advisory.v1.": "advisory/v1",
}
NOT_SO: Final = ("consumer_names_response: $", "stream_batch_abandoned: $.reason")
"""nats-server's own: an error that fits both of two forms of which it should fit one; a reason that
the schema does not list.
"""


def problems(text: bytes) -> list[str]:
    """What is not as the schema of its type says."""
    document: dict[str, Any] = json.loads(text)
    kind = document.get("type", "")
    if not kind and not {"stream", "error"} & set(document):
        return []  # a stored message
    # An acknowledgement says of no type that it is one.
    place = "api/v1/pub_ack_response"
    for prefix, folder in FOLDERS.items():
        if kind.startswith(prefix):
            place = f"{folder}/{kind.removeprefix(prefix)}"
    schema = json.loads((SCHEMAS / f"{place}.json").read_text(encoding="utf-8"))
    errors = jsonschema.Draft7Validator(schema).iter_errors(document)
    found = [f"{place.split('/')[-1]}: {error.json_path}: {error.message}" for error in errors]
    return [f"{problem}\n  {text[:500]!r}" for problem in found if not problem.startswith(NOT_SO)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("script", batch_scripts.ALL)
def test_answers_are_as_their_schemas_say(
    target: Target, script: Callable[[str], list[scripts.Step]], tmp_path: Path
) -> None:
    config = f'jetstream {{ store_dir: "{tmp_path}" }}'
    with ServerProcess(target, config) as server, Session(*server.address) as session:
        found = [session.ask(*step) for step in script("file")]
    texts = [each.payload for each in found if each.payload.startswith(b"{")]
    assert len(texts) > 5
    assert not [problem for text in texts for problem in problems(text)]


@pytest.mark.parametrize("target", TARGETS)
def test_advisories_are_as_their_schemas_say(target: Target, tmp_path: Path) -> None:
    config = f'jetstream {{ store_dir: "{tmp_path}" }}\n{test_advisories.ACCOUNTS}'
    with ServerProcess(target, config) as server, Session(*server.address, user="b") as session:
        session.listen("$JS.EVENT.>")
        for step in test_advisories.STEPS:
            session.ask(*step)
        while len(session.heard) < test_advisories.EVENTS:
            session.ask(*api("INFO"))
    assert not [problem for _, each in session.heard for problem in problems(each.payload)]
