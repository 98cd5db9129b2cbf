"""Start, lame duck and stop against a plane that notes what it is told."""

import asyncio
import errno
import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from keelback.auth.users import AuthRules, User
from keelback.errors import ServerError
from keelback.server import signals
from keelback.server.lifecycle import Lifecycle
from keelback.server.settings import (
    LimitSettings,
    LogSettings,
    MonitorSettings,
    ServerSettings,
    TlsSettings,
)
from tests.unit.fake_core import Plane

pytestmark = pytest.mark.usefixtures("core")

EMBEDDED = LogSettings(to_python=True)


def lifecycle_of(**settings: object) -> Lifecycle:
    given = {"port": -1, "host": "127.0.0.1", "log": EMBEDDED, **settings}
    return Lifecycle(ServerSettings(**given), make_plane=Plane)


def texts(plane: Plane) -> list[str]:
    return [text for _, text in plane.lines]


def started(lifecycle: Lifecycle) -> Plane:
    lifecycle.start()
    return lifecycle.plane  # type: ignore[return-value]


def test_the_lines_of_start_and_stop_are_those_of_nats_server_and_one_of_ours() -> None:
    lifecycle = lifecycle_of(server_name="ship", config_file="a.conf", config_digest="sha256:00")
    plane = started(lifecycle)
    lifecycle.stop()
    assert lifecycle.keys is not None
    assert plane.lines == [
        ("INF", "Starting nats-server"),
        ("INF", "  Version:  2.15.1"),
        ("INF", "  Git:      [b2fd3ef]"),
        ("INF", "  Keelback: 0.0.0"),
        ("DBG", "  Go build: go1.27.2"),
        ("INF", "  Name:     ship"),
        ("INF", f"  ID:       {lifecycle.keys.server_id}"),
        ("INF", "Using configuration file: a.conf (sha256:00)"),
        ("INF", "Listening for client connections on 127.0.0.1:40001"),
        ("INF", "Server is ready"),
        ("INF", "Initiating Shutdown..."),
        ("INF", "Server Exiting.."),
    ]


def test_warnings_come_before_the_listener() -> None:
    plane = started(
        lifecycle_of(
            auth=AuthRules(users=(User(name="a", password="x"),)),
            limits=LimitSettings(max_payload=9 * 1024 * 1024),
        )
    )
    warnings = [text for level, text in plane.lines if level == "WRN"]
    assert warnings == [
        "Plaintext passwords detected, use nkeys or bcrypt",
        (
            "Maximum payloads over 8.00 MB are generally discouraged and could lead to "
            "poor performance"
        ),
    ]


def test_info_announces_what_is_configured() -> None:
    lifecycle = lifecycle_of(auth=AuthRules(token="t"), client_advertise="out.example.com")
    plane = started(lifecycle)
    info = plane.infos[-1][0]
    assert lifecycle.keys is not None
    assert info.server_id == info.server_name == lifecycle.keys.server_id
    assert (info.host, info.port) == ("out.example.com", 40001)
    assert (info.version, info.go, info.api_level) == ("2.15.1", "go1.27.2", 5)
    assert info.auth_required
    assert not info.nonce
    assert info.xkey.startswith("X")
    assert info.keelback == "0.0.0"


def test_accounts_exist_before_anybody_can_connect() -> None:
    users = (User(name="a", account="B"), User(name="b", account="A"))
    plane = started(lifecycle_of(auth=AuthRules(users=users, accounts_declared=("C",))))
    names = [call[0] for call in plane.calls]
    assert [call[1].name for call in plane.calls if call[0] == "set_account"] == ["A", "B", "C"]
    assert names.index("listen") > names.index("set_account") + 2


def test_monitoring_is_bound_before_clients_can_connect() -> None:
    lifecycle = lifecycle_of(monitor=MonitorSettings(host="127.0.0.1", http_port=-1))
    plane = started(lifecycle)
    assert lifecycle._monitor is not None
    port = lifecycle._monitor.port
    lines = texts(plane)
    assert lines.index(f"Starting http monitor on 127.0.0.1:{port}") < lines.index(
        "Listening for client connections on 127.0.0.1:40001"
    )
    # It answers once the control loop runs; until then, whoever asks waits.
    with socket.create_connection(("127.0.0.1", port)):
        pass
    lifecycle.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_monitoring_port_is_let_go_when_clients_cannot_be_served() -> None:
    def make_plane(**fields: object) -> Plane:
        plane = Plane(**fields)
        plane.refuse_to_listen = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return plane

    monitor = MonitorSettings(host="127.0.0.1", http_port=-1)
    settings = ServerSettings(port=-1, host="127.0.0.1", log=EMBEDDED, monitor=monitor)
    lifecycle = Lifecycle(settings, make_plane=make_plane)
    with pytest.raises(ServerError):
        lifecycle.start()
    assert lifecycle._monitor is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", lifecycle._monitor.port))


def test_an_address_in_use_is_told_as_go_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    planes: list[Plane] = []

    def make_plane(**fields: object) -> Plane:
        planes.append(Plane(**fields))
        in_use = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        planes[0].refuse_to_listen = in_use
        return planes[0]

    settings = ServerSettings(port=4222, host="0.0.0.0", log=EMBEDDED)
    lifecycle = Lifecycle(settings, make_plane=make_plane)
    told = (
        'Error listening on port: 0.0.0.0:4222, "listen tcp 0.0.0.0:4222: bind: '
        'address already in use"'
    )
    with pytest.raises(ServerError) as caught:
        lifecycle.start()
    assert str(caught.value) == told
    assert planes[0].lines[-1] == ("FTL", told)
    assert planes[0].is_shut_down
    assert not lifecycle.is_running


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"pid_file": "/nowhere/at/all"}, "Could not write pidfile: open /nowhere/at/all: no such"),
        ({"log": LogSettings(file="/nowhere/at/all")}, "error opening file: open /nowhere/at/all"),
        ({"client_advertise": "a:b:c"}, "expected host or host:port"),
        ({"auth": AuthRules(no_auth_user="x")}, "users/nkeys are not defined"),
        (
            {"limits": LimitSettings(max_payload=10, max_pending=9)},
            r"max_payload \(10\) cannot be higher than max_pending \(9\)",
        ),
        (
            {"tls": TlsSettings(certificates=(("/nowhere/c.pem", "/nowhere/k.pem"),))},
            "TLS Server certificate must be present and valid: open /nowhere/c.pem: no such file",
        ),
    ],
)
def test_what_keeps_a_server_from_starting(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ServerError, match=why):
        lifecycle_of(**settings).start()


def test_the_log_file_is_appended_to_by_the_core(tmp_path: Path) -> None:
    file = tmp_path / "log"
    plane = started(lifecycle_of(log=LogSettings(file=str(file), debug=True)))
    fields = next(call[1] for call in plane.calls if call[0] == "set_log")
    assert fields["fd"] > 2
    assert fields["debug"]
    assert not fields["colour"]
    assert fields["pid"] == os.getpid()
    assert file.stat().st_mode & 0o777 == 0o640 & ~_umask()
    # The core has a duplicate; this one is closed.
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fields["fd"])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_pid_file_stays_and_the_ports_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/keelback-server"])
    pid_file = tmp_path / "pid"
    lifecycle = lifecycle_of(pid_file=str(pid_file), ports_file_dir=str(tmp_path))
    lifecycle.start()
    ports_file = tmp_path / f"keelback-server_{os.getpid()}.ports"
    assert json.loads(ports_file.read_text()) == {"nats": ["nats://127.0.0.1:40001"]}
    assert pid_file.read_text() == str(os.getpid())
    lifecycle.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pid"]


def test_stopping_is_idempotent_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    lifecycle = lifecycle_of()
    lifecycle.stop()
    plane = started(lifecycle)
    lifecycle.run_in_background()
    lifecycle.stop()
    lifecycle.stop()
    assert set(threading.enumerate()) == before
    assert plane.calls.count(("shutdown",)) == 1
    assert not lifecycle.is_running
    with pytest.raises(ServerError, match="not running"):
        _ = lifecycle.plane


class Played:
    """A server on this thread, with a sleep that the test ends."""

    def __init__(self, connections: list[int]) -> None:
        self.slept: list[float] = []
        self.hang = False
        self.lifecycle = Lifecycle(
            ServerSettings(port=-1, log=EMBEDDED),
            make_plane=Plane,
            sleep=self.sleep,
            random=lambda: 0.0,
        )
        self.plane = started(self.lifecycle)
        self.plane.open_connections = connections

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.hang:
            await asyncio.Event().wait()

    def send(self, *caught: signal.Signals) -> None:
        for each in caught:
            self.lifecycle.post(lambda each=each: signals.handle(self.lifecycle, each))

    def run(self) -> list[str]:
        ready = texts(self.plane).index("Server is ready")
        self.lifecycle.run()
        assert self.plane.is_shut_down
        return texts(self.plane)[ready + 1 :]


@pytest.mark.parametrize(
    ("caught", "name"), [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "terminated")]
)
def test_int_and_term_stop_also_before_the_loop_has_begun(
    caught: signal.Signals, name: str
) -> None:
    played = Played([])
    played.send(caught)
    assert played.run() == [
        f'Trapped "{name}" signal',
        "Initiating Shutdown...",
        "Server Exiting..",
    ]


def test_usr2_sends_clients_away_and_then_stops() -> None:
    played = Played([5, 9])
    played.send(signal.SIGUSR2)
    assert played.run() == [
        'Trapped "user defined signal 2" signal',
        "Entering lame duck mode, stop accepting new clients",
        "Closing existing clients",
        "Initiating Shutdown...",
        "Server Exiting..",
    ]
    assert played.plane.closed == [(5, "Server Shutdown"), (9, "Server Shutdown")]
    assert played.slept == [10.0, 0.5]
    info, announced = played.plane.infos[-1]
    assert info.ldm
    assert announced
    names = [call[0] for call in played.plane.calls]
    assert names.index("stop_listening") < names.index("shutdown")


def test_lame_duck_ignores_term_and_a_second_usr2_but_not_int() -> None:
    played = Played([5])
    played.hang = True
    played.send(signal.SIGUSR2, signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
    lines = played.run()
    assert lines.count("Entering lame duck mode, stop accepting new clients") == 1
    assert lines.index('Trapped "interrupt" signal') < lines.index("Initiating Shutdown...")
    assert lines.count("Initiating Shutdown...") == 1
    assert played.plane.closed == []


def test_hup_and_usr1_say_what_cannot_be_done_and_the_server_lives_on() -> None:
    played = Played([])
    played.send(signal.SIGHUP, signal.SIGUSR1, signal.SIGINT)
    assert played.run()[:4] == [
        'Trapped "hangup" signal',
        (
            "Failed to reload server configuration: this server was made of settings, which "
            "cannot be read anew"
        ),
        'Trapped "user defined signal 1" signal',
        "File log re-open ignored, not a file logger",
    ]


def test_a_control_loop_that_fails_still_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_pump: object, _loop: object) -> None:
        raise RuntimeError("no such descriptor")

    monkeypatch.setattr("keelback.server.pump.Pump.attach", fail)
    played = Played([])
    with pytest.raises(RuntimeError, match="no such descriptor"):
        played.lifecycle.run()
    assert played.plane.is_shut_down
    told = "The control loop failed: RuntimeError: no such descriptor"
    assert ("ERR", told) in played.plane.lines
