"""What JetStream tells monitoring: `keelback.monitor.streams.JetStreamFacts` of the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keelback import _core, gojson
from keelback.jetstream.api_level import API_LEVEL
from keelback.jetstream.registry import state_json
from keelback.jetstream.stream_limits import NO_TIER, AccountLimits
from keelback.monitor.streams import (
    AccountFacts,
    JetStreamFacts,
    LeftAlone,
    LimitFacts,
    StreamFacts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keelback.jetstream.api import Api
    from keelback.jetstream.registry import Account
    from keelback.jetstream.stream_limits import ServerLimits
    from keelback.server.settings import JetStreamSettings, StreamLimits


def facts(
    api: Api,
    store: _core.Store,
    settings: JetStreamSettings,
    *,
    limits: ServerLimits,
    directory: str,
    server_name: str,
    declared: frozenset[str],
) -> JetStreamFacts:
    """The facts of this moment; what is told of each stream is read when it is asked for."""
    memory, file = store.usage_of_all()
    reserved_memory, reserved_file = api.reserved()
    calls, errors = api.asked()
    accounts = dict(api.accounts)
    return JetStreamFacts(
        max_memory=limits.memory_bytes_max,
        max_file=limits.file_bytes_max,
        store_dir=directory,
        sync_interval_s=settings.sync_interval_s,
        domain=settings.domain,
        strict=settings.strict,
        unique_tag=settings.unique_tag,
        limits=_limits(settings.limits),
        api_level=API_LEVEL,
        memory=memory,
        file=file,
        reserved_memory=reserved_memory,
        reserved_file=reserved_file,
        calls=calls,
        errors=errors,
        account_names=frozenset(accounts),
        leader=server_name,
        failure=store.failure(),
        damage=tuple(store.damage()),
        read_left_alone=lambda: tuple(
            LeftAlone(account=account, stream=stream, has_account=account in declared)
            for account, stream in api.left_alone()
        ),
        read_accounts=lambda: tuple(
            _account(store, name, accounts[name]) for name in sorted(accounts)
        ),
    )


def _limits(limits: StreamLimits) -> LimitFacts:
    return LimitFacts(
        max_request_batch=limits.max_request_batch,
        max_ack_pending=limits.max_ack_pending,
        max_ha_assets=limits.max_ha_assets,
        duplicate_window_s=limits.duplicate_window_s,
        batch_inflight_per_stream=limits.max_inflight_per_stream,
        batch_inflight_total=limits.max_inflight_total,
        batch_messages=limits.max_batch_msgs,
        batch_timeout_s=limits.batch_timeout_s,
        default_max_consumers=limits.default_max_consumers,
    )


def _account(store: _core.Store, name: str, account: Account) -> AccountFacts:
    memory, file = store.usage(name)
    limits = account.limits.get(NO_TIER, AccountLimits())
    return AccountFacts(
        name=name,
        memory=memory,
        file=file,
        memory_max=limits.memory_bytes_max,
        file_max=limits.file_bytes_max,
        calls=account.calls,
        errors=account.errors,
        streams=tuple(_streams(store, name, account)),
    )


def _streams(store: _core.Store, account: str, owner: Account) -> Iterator[StreamFacts]:
    for name, kept in sorted(dict(owner.streams).items()):
        try:
            state = store.state(account, name)
        except _core.StoreError:
            continue  # deleted meanwhile
        yield StreamFacts(
            name=name,
            created=gojson.time_text(kept.created_ns),
            config=kept.config.to_json(),
            state=state_json(state),
            failure=state.failure,
        )
