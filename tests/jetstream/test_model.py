"""Random lives of a stream: what a simple model says is what both servers do, also after restarts.

More of them: `KEELBACK_SESSIONS`, from the seed `KEELBACK_SEED` on.
"""

from __future__ import annotations

import base64
import json
import os
import random
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.jetstream import scripts
from tests.jetstream.model import Ack, Message, Model, Rules
from tests.jetstream.session import Session
from tests.support.servers import TARGETS, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.servers import Target

LIVES: Final = int(os.environ.get("KEELBACK_SESSIONS", "15"))
FIRST_SEED: Final = int(os.environ.get("KEELBACK_SEED", "1"))
STEPS: Final = 60
SUBJECTS: Final = ("s.a", "s.b", "s.c")


class Life:
    """One server with one stream, and the model beside it."""

    def __init__(self, target: Target, folder: Path, seed: int, storage: str) -> None:
        self._target: Target = target
        self._config = f'jetstream {{ store_dir: "{folder}" }}'
        self._dice = random.Random(seed)
        self._server = ServerProcess(target, self._config)
        self._open()
        self.model = Model(self._rules(storage))
        answer = self._ask(*scripts.create("S", **self._settings()))
        assert "error" not in answer, answer

    def close(self) -> None:
        """End the server."""
        self._session.close()
        self._server.stop()

    def step(self) -> str:
        """Do one thing, and compare; says what was done."""
        chances: list[tuple[int, Callable[[], str]]] = [
            (30, self._publish),
            (4, self._delete),
            (3, self._purge),
            (2, self._update),
            (1, self._restart),
        ]
        (act,) = self._dice.choices([each for _, each in chances], [each for each, _ in chances])
        done = act()
        self._compare(done)
        return done

    def compare_messages(self) -> None:
        """Each message is there, as it was published, and can be read by its subject."""
        for seq, message in self.model.messages.items():
            read = self._ask(*scripts.api("STREAM.MSG.GET.S", seq=seq))["message"]
            assert (read["subject"], read["seq"]) == (message.subject, seq)
            assert base64.b64decode(read.get("data", "")) == message.payload
        for subject in SUBJECTS:
            seqs = [s for s, each in self.model.messages.items() if each.subject == subject]
            answer = self._ask(*scripts.api("STREAM.MSG.GET.S", last_by_subj=subject))
            found = answer["message"]["seq"] if "message" in answer else None
            assert found == max(seqs, default=None)

    def _open(self) -> None:
        self._server.start()
        self._session = Session(*self._server.address)

    def _ask(self, *step: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._session.ask(*step).payload)
        return found

    def _rules(self, storage: str) -> Rules:
        dice = self._dice
        per_subject = dice.choice((-1, -1, 1, 3))
        discard = dice.choice(("old", "new"))
        return Rules(
            storage=storage,
            max_msgs=dice.choice((-1, -1, 4, 9)),
            max_bytes=dice.choice((-1, -1, 300, 700)),
            max_msgs_per_subject=per_subject,
            discard=discard,
            discard_new_per_subject=discard == "new" and per_subject > 0 and dice.random() < 0.5,
            allow_rollup_hdrs=dice.random() < 0.7,
        )

    def _settings(self) -> dict[str, Any]:
        rules = self.model.rules
        return {
            "subjects": ["s.>"],
            "storage": rules.storage,
            "max_msgs": rules.max_msgs,
            "max_bytes": rules.max_bytes,
            "max_msgs_per_subject": rules.max_msgs_per_subject,
            "discard": rules.discard,
            "discard_new_per_subject": rules.discard_new_per_subject,
            "allow_rollup_hdrs": rules.allow_rollup_hdrs,
        }

    def _publish(self) -> str:
        dice = self._dice
        near = self.model.last_seq - dice.choice((0, 0, 0, 1))
        of_subject = dice.randrange(self.model.last_seq + 1)
        message = Message(
            subject=dice.choice(SUBJECTS),
            payload=dice.randbytes(dice.choice((0, 1, 20, 150))),
            msg_id=f"id-{dice.randrange(8)}" if dice.random() < 0.2 else "",
            last_seq=near if near >= 0 and dice.random() < 0.1 else None,
            last_subject_seq=of_subject if dice.random() < 0.1 else None,
            rollup=dice.choice(("sub", "all")) if dice.random() < 0.06 else "",
        )
        lines = scripts.headers(*message.lines)
        answer = self._ask(message.subject, message.payload, lines)
        error = answer.get("error", {}).get("err_code", 0)
        seq = 0 if error else answer["seq"]
        found = Ack(seq, answer.get("duplicate", False), error)
        assert found == self.model.publish(message), f"{message}: {answer}"
        return f"{message} -> {found}"

    def _delete(self) -> str:
        seq = self._dice.randrange(1, self.model.last_seq + 2)
        body = {"seq": seq, "no_erase": self._dice.random() < 0.5}
        answer = self._ask(*scripts.api("STREAM.MSG.DELETE.S", **body))
        assert answer.get("success", False) == self.model.delete(seq), f"{body}: {answer}"
        return f"delete {body}"

    def _purge(self) -> str:
        dice = self._dice
        body: dict[str, Any] = {}
        if dice.random() < 0.5:
            body["filter"] = dice.choice(SUBJECTS)
        if dice.random() < 0.3:
            body["seq"] = dice.randrange(1, self.model.last_seq + 3)
        elif dice.random() < 0.4:
            body["keep"] = dice.randrange(1, 4)
        answer = self._ask(*scripts.api("STREAM.PURGE.S", **body))
        purged = self.model.purge(
            subject=body.get("filter", ""), below=body.get("seq", 0), keep=body.get("keep", 0)
        )
        assert answer.get("purged") == purged, f"purge {body}: {answer}"
        return f"purge {body}"

    def _update(self) -> str:
        dice, rules = self._dice, self.model.rules
        change: dict[str, Any] = {
            "max_msgs": dice.choice((-1, 3, 6, 12)),
            "max_bytes": dice.choice((-1, 200, 500, 900)),
        }
        if rules.max_msgs_per_subject > 0:
            change["max_msgs_per_subject"] = dice.choice((1, 2, 4))
        self.model.update(**change)
        answer = self._ask(*scripts.update("S", **self._settings()))
        assert "error" not in answer, answer
        return f"update {change}"

    def _restart(self) -> str:
        if self.model.rules.storage == "memory" or self._target == "genuine":
            # nats-server forgets ids of messages that are gone.
            return "no restart"
        self._session.close()
        self._server.stop()
        self._server = ServerProcess(self._target, self._config)
        self._open()
        return "restart"

    def _compare(self, done: str) -> None:
        model = self.model
        asked = scripts.api("STREAM.INFO.S", subjects_filter=">", deleted_details=True)
        state = self._ask(*asked)["state"]
        expected: dict[str, Any] = {
            "messages": len(model.messages),
            "bytes": model.bytes,
            "first_seq": model.first_seq,
            "last_seq": model.last_seq,
        }
        if self._target == "genuine" and not model.messages:
            # Purged below a sequence, its stream in files may begin at a message that is gone.
            del expected["first_seq"]
        found = {key: state[key] for key in expected}
        assert found == expected, done
        if "first_seq" in expected:
            assert state.get("deleted", []) == model.deleted, done
        counts: dict[str, int] = {}
        for message in model.messages.values():
            counts[message.subject] = counts.get(message.subject, 0) + 1
        assert state.get("subjects", {}) == counts, done


@pytest.mark.timeout(60 + 10 * LIVES)
@pytest.mark.parametrize("storage", ["file", "memory"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_stream_is_what_the_model_says(target: Target, storage: str, tmp_path: Path) -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + LIVES):
        life = Life(target, tmp_path / str(seed), seed, storage)
        done: list[str] = []
        try:
            done.extend(life.step() for _ in range(STEPS))
            life.compare_messages()
        except AssertionError as error:
            trail = "\n".join(done[-8:])
            raise AssertionError(f"seed {seed}, {life.model.rules}, after:\n{trail}") from error
        finally:
            life.close()
