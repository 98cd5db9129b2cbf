"""What monitoring tells, for the program that the server is in: the same documents, as data.

Asked directly, without a port: `server.varz()["connections"]`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from keelback.server.lifecycle import Lifecycle


class Inspection:
    """The documents of one server; keywords are the parameters of the page of that name.

    The rooms that make them are imported when they are first asked for.
    """

    def _running_lifecycle(self) -> Lifecycle:
        raise NotImplementedError

    def varz(self) -> dict[str, Any]:
        """The server in numbers, and what it was told (`/varz`).

        Raises:
            ServerError: the server does not run.
        """
        from keelback.monitor.document import to_dict  # noqa: PLC0415
        from keelback.monitor.varz import varz  # noqa: PLC0415

        return to_dict(varz(self._running_lifecycle().facts.now()))

    def connz(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as monitor.connz
        """A page of its connections (`/connz`): `sort`, `limit`, `offset`, `subscriptions`, ….

        Raises:
            ServerError: the server does not run.
        """
        from keelback.monitor.connz import connz  # noqa: PLC0415
        from keelback.monitor.document import to_dict  # noqa: PLC0415

        return to_dict(connz(self._running_lifecycle().facts.now(), **parameters))

    def subsz(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as monitor.subsz
        """Its subscriptions in numbers (`/subsz`); listed with `subscriptions=True`.

        Raises:
            ServerError: the server does not run.
        """
        from keelback.monitor.document import to_dict  # noqa: PLC0415
        from keelback.monitor.subsz import subsz  # noqa: PLC0415

        return to_dict(subsz(self._running_lifecycle().facts.now(), **parameters))

    def accountz(self, account: str = "") -> dict[str, Any]:
        """The names of its accounts, or one account in detail (`/accountz`).

        Raises:
            ServerError: the server does not run.
        """
        from keelback.monitor.accounts import accountz  # noqa: PLC0415
        from keelback.monitor.document import to_dict  # noqa: PLC0415

        return to_dict(accountz(self._running_lifecycle().facts.now(), account=account))

    def healthz(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as monitor.healthz
        """Whether clients can connect (`/healthz`): `server.healthz()["status"] == "ok"`.

        Raises:
            ServerError: the server does not run.
        """
        from keelback.monitor.document import to_dict  # noqa: PLC0415
        from keelback.monitor.healthz import healthz  # noqa: PLC0415

        return to_dict(healthz(self._running_lifecycle().facts.now(), **parameters))
