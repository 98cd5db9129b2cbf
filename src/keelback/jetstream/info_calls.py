"""The calls that tell of an account and of its streams.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keelback.jetstream import api_level, requests
from keelback.jetstream.calls import LIST_LIMIT, NAMES_LIMIT
from keelback.jetstream.stream_limits import NO_TIER, AccountLimits
from keelback.jetstream.subjects import any_collide

if TYPE_CHECKING:
    from keelback.jetstream.calls import Answer, Called
    from keelback.jetstream.registry import Registry

SUBJECTS_LIMIT: Final = 100_000
DELETED_MAX: Final = 1_000_000
"""Deleted sequences that an answer lists; there may be as many as there are numbers."""


class InfoCalls:
    """The calls that only look."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def account(self, called: Called, _: str) -> Answer:
        """What an account holds, and may hold."""
        owner = self._registry.owner(called.account)
        used = {"memory": 0, "file": 0}
        reserved = {"memory": 0, "file": 0}
        for name, kept in owner.streams.items():
            storage = "memory" if kept.config.storage == "memory" else "file"
            used[storage] += self._registry.state(called.account, name).bytes
            reserved[storage] += max(kept.config.max_bytes, 0)
        limits = owner.limits.get(NO_TIER, AccountLimits())
        answer: Answer = {
            "memory": used["memory"],
            "storage": used["file"],
            "reserved_memory": reserved["memory"],
            "reserved_storage": reserved["file"],
            "streams": len(owner.streams),
            "consumers": 0,
            "limits": {
                "max_memory": limits.memory_bytes_max,
                "max_storage": limits.file_bytes_max,
                "max_streams": limits.streams_max,
                "max_consumers": limits.consumers_max,
                "max_ack_pending": -1,
                "memory_max_stream_bytes": limits.memory_stream_bytes_max or -1,
                "storage_max_stream_bytes": limits.file_stream_bytes_max or -1,
                "max_bytes_required": limits.max_bytes_required,
            },
        }
        if self._registry.domain:
            answer["domain"] = self._registry.domain
        answer["api"] = {
            "level": api_level.API_LEVEL,
            "total": owner.calls,
            "errors": owner.errors,
        }
        return answer

    def stream(self, called: Called, name: str) -> Answer:
        """What a stream is and holds."""
        request = requests.InfoRequest()
        if requests.has_object(called.body):
            request = requests.read_info(called.body)
        kept = self._registry.kept(called.account, name)
        info = self._registry.stream_info(called.account, name, kept)
        paged = {"total": 0, "offset": 0, "limit": 0}
        state = info["state"]
        if request.deleted_details:
            deleted = self._deleted(called.account, name)
            if deleted:
                consumers = state.pop("consumer_count")
                state |= {"deleted": deleted, "consumer_count": consumers}
        if request.subjects_filter:
            self._add_subjects(called.account, name, request, state, paged)
        info["cluster"] = {"leader": self._registry.server_name}
        order = ("config", "created", "state", "domain", "cluster", "ts")
        return paged | {key: info[key] for key in order if key in info}

    def _add_subjects(
        self,
        account: str,
        name: str,
        request: requests.InfoRequest,
        state: Answer,
        paged: dict[str, int],
    ) -> None:
        offset = max(request.offset, 0)
        total, page = self._registry.store.subjects(
            account, name, request.subjects_filter, offset, SUBJECTS_LIMIT
        )
        if total == 0:
            return
        paged |= {"total": total, "offset": min(offset, total), "limit": SUBJECTS_LIMIT}
        rest = {
            key: state.pop(key)
            for key in ("num_deleted", "deleted", "lost", "consumer_count")
            if key in state
        }
        if page:
            state["subjects"] = dict(page)
        state |= rest

    def _deleted(self, account: str, name: str) -> list[int]:
        found: list[int] = []
        for first, last in self._registry.store.deleted(account, name, DELETED_MAX):
            room = DELETED_MAX - len(found)
            found.extend(range(first, min(last + 1, first + room)))
            if len(found) >= DELETED_MAX:
                break
        return found

    def names(self, called: Called, _: str) -> Answer:
        """The names of streams."""
        request = requests.ListRequest()
        if requests.has_object(called.body):
            request = requests.read_names(called.body)
        names = self._chosen(called.account, request.subject)
        offset = min(max(request.offset, 0), len(names))
        page = names[offset : offset + NAMES_LIMIT]
        return {
            "total": len(names),
            "offset": offset,
            "limit": NAMES_LIMIT,
            "streams": page or None,
        }

    def list(self, called: Called, _: str) -> Answer:
        """What streams are and hold."""
        request = requests.ListRequest()
        if requests.has_object(called.body):
            request = requests.read_list(called.body)
        names = self._chosen(called.account, request.subject)
        offset = min(max(request.offset, 0), len(names))
        infos: list[Answer] = []
        for name in names[offset : offset + LIST_LIMIT]:
            kept = self._registry.streams(called.account).get(name)
            if kept is not None:
                infos.append(self._registry.stream_info(called.account, name, kept, is_listed=True))
        return {
            "total": len(names),
            "offset": offset,
            "limit": LIST_LIMIT,
            "streams": infos,
        }

    def _chosen(self, account: str, subject: str) -> list[str]:
        streams = dict(self._registry.streams(account))
        return sorted(
            name
            for name, kept in streams.items()
            if not subject or any_collide((subject,), kept.config.subjects)
        )
