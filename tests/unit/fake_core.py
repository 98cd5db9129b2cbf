"""A stand-in for `keelback._core`: records that remember their fields, and a plane that notes
what it is told. It decides nothing; the core's own tests cover what the core does."""

import os
from collections import deque
from contextlib import suppress
from typing import Any

__version__ = "0.0.0"


class CoreError(Exception):
    pass


class _Record:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"

    __hash__ = object.__hash__


class Limits(_Record): ...


class ServerInfo(_Record): ...


class Permissions(_Record): ...


class FastUser(_Record): ...


class Gate(_Record): ...


class AccountTable(_Record): ...


class TlsConfig(_Record): ...


class Listener(_Record): ...


class Admission(_Record): ...


class Refusal(_Record): ...


class SlowConsumer(_Record): ...


class Request(_Record): ...


class BatchAbandoned(_Record): ...


class DiskTurned(_Record): ...


class SubscriptionInfo(_Record): ...


class ConnectionQuery(_Record): ...


class ConnectionInfo(_Record):
    """An open TCP connection that has done nothing, unless the test says otherwise."""

    def __init__(self, **fields: Any) -> None:
        numbers = (
            "start_ns last_activity_ns stop_ns rtt_ns pending_bytes in_msgs out_msgs in_bytes "
            "out_bytes stalls subscriptions"
        )
        texts = "reason name lang version tls_version tls_cipher_suite user"
        defaults = {
            "cid": 7,
            "kind": "tcp",
            "ip": "127.0.0.1",
            "port": 50000,
            "tls_first": False,
            "certificates": [],
            "account": "$G",
            "subscription_list": [],
        }
        super().__init__(
            **{
                **dict.fromkeys(numbers.split(), 0),
                **dict.fromkeys(texts.split(), ""),
                **defaults,
                **fields,
            }
        )


class AccountInfo(_Record):
    """An account without connections, unless the test says otherwise."""

    def __init__(self, **fields: Any) -> None:
        numbers = (
            "connections total_connections subscriptions sent_msgs sent_bytes received_msgs "
            "received_bytes slow_consumers"
        )
        defaults = {"name": "$G", "is_system": False}
        super().__init__(**{**dict.fromkeys(numbers.split(), 0), **defaults, **fields})


class LogFull(_Record): ...


class LogLine(_Record): ...


class AuthRequest(_Record):
    """A CONNECT without credentials, over TCP, unless the test says otherwise."""

    def __init__(self, **fields: Any) -> None:
        defaults = {
            "connection": 7,
            "kind": "tcp",
            "client_ip": "127.0.0.1",
            "client_port": 50000,
            "tls": False,
            "nonce": "",
            "user": "",
            "password": "",
            "token": "",
            "nkey": "",
            "signature": "",
            "jwt": "",
            "name": "",
            "lang": "",
            "version": "",
            "reload": False,
            "certificates": [],
        }
        super().__init__(**{**defaults, **fields})


class Pipe:
    """Made by `open_pipe`; tests play the server with `feed`, `take` and `refuse_sends`."""

    def __init__(self, room_bytes: int = 1 << 20) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._inbound: deque[bytes] = deque()
        self.sent = bytearray()
        self.room_bytes = room_bytes
        self.is_closed = False
        self.is_server_closed = False

    def fileno(self) -> int:
        return self._event

    def feed(self, data: bytes) -> None:
        self._inbound.append(data)
        os.eventfd_write(self._event, 1)

    def make_room(self, room_bytes: int) -> None:
        self.room_bytes += room_bytes
        os.eventfd_write(self._event, 1)

    def send(self, data: bytes) -> int:
        if self.is_server_closed:
            raise BrokenPipeError
        taken = data[: self.room_bytes]
        self.room_bytes -= len(taken)
        self.sent += taken
        return len(taken)

    def recv(self, at_most: int = 65536) -> bytes | None:
        if self._inbound:
            data = self._inbound.popleft()
            if len(data) > at_most:
                self._inbound.appendleft(data[at_most:])
            return data[:at_most]
        with suppress(BlockingIOError):
            os.eventfd_read(self._event)
        return None

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            os.close(self._event)


class Plane:
    """Notes every call in `calls`; `push` plays the core's part."""

    refuse_to_listen: OSError | None = None

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.events: deque[Any] = deque()
        self.calls: list[tuple[Any, ...]] = []
        self.lines: list[tuple[str, str]] = []
        self.admitted: list[list[Any]] = []
        self.refused: list[list[Any]] = []
        self.closed: list[tuple[int, str]] = []
        self.closing_errors: list[str] = []
        self.open_connections: list[int] = []
        self.infos: list[tuple[Any, bool]] = [(fields.get("info"), False)]
        self.is_shut_down = False
        self.logs_to_events = False
        self.unpinned = 0
        self.pipes: list[Pipe] = []
        self.counters: dict[str, int] = {}
        self.page: tuple[int, list[Any]] = (0, [])
        self.account_infos: list[Any] = []
        self.sublist: dict[str, float] = {}
        self.subscription_page: tuple[int, list[Any]] = (0, [])

    def push(self, *events: Any) -> None:
        self.events.extend(events)
        os.eventfd_write(self.wake_fd, 1)

    def take_events(self, at_most: int = 1024) -> list[Any]:
        taken = [self.events.popleft() for _ in range(min(at_most, len(self.events)))]
        if not self.events:
            with suppress(BlockingIOError):
                os.eventfd_read(self.wake_fd)
        self.calls.append(("take_events", len(taken)))
        return taken

    def listen(self, listener: Any) -> tuple[str, int]:
        self.calls.append(("listen", listener))
        if self.refuse_to_listen is not None:
            raise self.refuse_to_listen
        return listener.host, listener.port or 40001

    def set_listener_tls(self, listener: Any) -> bool:
        self.calls.append(("set_listener_tls", listener))
        return True

    def stop_listening(self) -> None:
        self.calls.append(("stop_listening",))

    def set_info(self, info: Any, *, announce: bool = False) -> None:
        self.infos.append((info, announce))

    def set_limits(self, limits: Any) -> None:
        self.calls.append(("set_limits", limits))

    def set_gate(self, gate: Any) -> None:
        self.calls.append(("set_gate", gate))

    def set_tls(self, tls: Any) -> None:
        self.calls.append(("set_tls", tls))

    def set_account(self, table: Any) -> None:
        self.calls.append(("set_account", table))

    def remove_account(self, name: str) -> None:
        self.calls.append(("remove_account", name))

    def reauthorize(self) -> None:
        self.calls.append(("reauthorize",))

    def drop_unpinned(self) -> int:
        self.calls.append(("drop_unpinned",))
        return self.unpinned

    def set_system_account(self, name: str) -> None:
        self.calls.append(("set_system_account", name))

    def open_pipe(self) -> Pipe:
        self.pipes.append(Pipe())
        return self.pipes[-1]

    def admit(self, admissions: list[Any]) -> None:
        self.admitted.append(admissions)

    def refuse(self, refusals: list[Any]) -> None:
        self.refused.append(refusals)

    def close(self, connection: int, reason: str, *, error: str = "") -> None:
        self.closed.append((connection, reason))
        self.closing_errors.append(error)

    def connections(self) -> list[int]:
        return list(self.open_connections)

    def stats(self) -> dict[str, int]:
        return dict(self.counters)

    def connection_page(self, query: Any) -> tuple[int, list[Any]]:
        self.calls.append(("connection_page", query))
        return self.page

    def accounts(self) -> list[Any]:
        return list(self.account_infos)

    def sublist_stats(self, account: str = "") -> dict[str, float]:
        self.calls.append(("sublist_stats", account))
        return dict(self.sublist)

    def subscriptions(self, **fields: Any) -> tuple[int, list[Any]]:
        self.calls.append(("subscriptions", fields))
        return self.subscription_page

    def ping_unmeasured(self) -> None:
        self.calls.append(("ping_unmeasured",))

    def set_closed_limit(self, max_closed: int) -> None:
        self.calls.append(("set_closed_limit", max_closed))

    def set_log(self, **fields: Any) -> None:
        self.calls.append(("set_log", fields))
        self.logs_to_events = fields["fd"] == -1

    def log(self, level: str, text: str) -> None:
        self.lines.append((level, text))
        if self.logs_to_events:
            self.push(LogLine(level=level, text=text))

    def shutdown(self) -> None:
        self.calls.append(("shutdown",))
        self.is_shut_down = True
