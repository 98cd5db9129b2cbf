"""The documents of monitoring for an embedding program: what HTTP gives, as Python data."""

from __future__ import annotations

from keelback.errors import ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal

    from keelback.server.lifecycle import Lifecycle

    Document = dict[str, Any]


class Documents:
    """Each method is one document of the moment; names, types and order are nats-server's.

    They may be called from any thread, with or without a monitoring port.

    Raises:
        ServerError: the server does not run, or the options do not go together.
    """

    _lifecycle: Lifecycle | None

    def varz(self) -> Document:
        """The server as a whole."""
        from keelback.monitor import varz  # noqa: PLC0415  # msgspec; the same below

        return self._document(varz.varz)

    def connz(
        self,
        *,
        sort: str = "",
        auth: bool = False,
        subscriptions: bool = False,
        subscriptions_detail: bool = False,
        offset: int = 0,
        limit: int = 1024,
        cid: int = 0,
        state: Literal["open", "closed", "all"] = "open",
        user: str = "",
        account: str = "",
        filter_subject: str = "",
    ) -> Document:
        """A page of the connections; `keelback.monitor.connz.connz` has the options."""
        from keelback.monitor import connz  # noqa: PLC0415

        return self._document(
            connz.connz,
            sort=sort,
            auth=auth,
            subscriptions=subscriptions,
            subscriptions_detail=subscriptions_detail,
            offset=offset,
            limit=limit,
            cid=cid,
            state=state,
            user=user,
            account=account,
            filter_subject=filter_subject,
        )

    def subsz(
        self,
        *,
        subscriptions: bool = False,
        offset: int = 0,
        limit: int = 1024,
        account: str = "",
        test: str = "",
    ) -> Document:
        """Subscriptions, counted and, when asked for, listed."""
        from keelback.monitor import subsz  # noqa: PLC0415

        return self._document(
            subsz.subsz,
            subscriptions=subscriptions,
            offset=offset,
            limit=limit,
            account=account,
            test=test,
        )

    def accountz(self, *, account: str = "") -> Document:
        """The names of all accounts, or the details of one."""
        from keelback.monitor import accounts  # noqa: PLC0415

        return self._document(accounts.accountz, account=account)

    def accstatz(self, *, accounts: Sequence[str] = (), include_unused: bool = False) -> Document:
        """The accounts in numbers: those with connections, or all."""
        from keelback.monitor import accounts as documents  # noqa: PLC0415

        return self._document(
            documents.accstatz, accounts=tuple(accounts), include_unused=include_unused
        )

    def healthz(self, *, account: str = "", stream: str = "", details: bool = False) -> Document:
        """Whether clients can connect and streams take messages, all or one.

        `status_code` is what HTTP would say.
        """
        from keelback.monitor import healthz  # noqa: PLC0415

        return self._document(healthz.healthz, account=account, stream=stream, details=details)

    def routez(self) -> Document:
        """The routes to servers of the same cluster: none."""
        from keelback.monitor import absent  # noqa: PLC0415

        return self._document(absent.routez)

    def gatewayz(self) -> Document:
        """The gateways to other clusters: none."""
        from keelback.monitor import absent  # noqa: PLC0415

        return self._document(absent.gatewayz)

    def leafz(self) -> Document:
        """The leaf nodes: none."""
        from keelback.monitor import absent  # noqa: PLC0415

        return self._document(absent.leafz)

    def jsz(
        self,
        *,
        account: str = "",
        accounts: bool = False,
        streams: bool = False,
        config: bool = False,
        offset: int = 0,
        limit: int = 0,
    ) -> Document:
        """JetStream as a whole; details of one account, or of accounts with their streams."""
        from keelback.monitor import jsz  # noqa: PLC0415

        return self._document(
            jsz.jsz,
            account=account,
            accounts=accounts,
            streams=streams,
            config=config,
            offset=offset,
            limit=limit,
        )

    def _document(self, make: Callable[..., object], **options: object) -> Document:
        from keelback.monitor.document import to_dict  # noqa: PLC0415
        from keelback.monitor.query import QueryError  # noqa: PLC0415

        if self._lifecycle is None:
            raise ServerError("the server is not running", hint="call start() first")
        try:
            return to_dict(make(self._lifecycle.facts.now(), **options))
        except QueryError as error:
            raise ServerError(str(error)) from error
