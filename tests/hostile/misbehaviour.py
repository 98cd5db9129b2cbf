"""A crowd of connections that misbehave at a steady pace, as a process of its own.

`python -m tests.hostile.misbehaviour HOST PORT COUNT` connects, prints `READY`, and misbehaves
until its standard input ends; then it prints how often it did, per second. It keeps a pace and runs
only when a core has nothing else to do: it must not win by taking the processor that the server and
the others need, as all may stand on the same few cores.
"""

from __future__ import annotations

import os
import random
import resource
import select
import socket
import sys
import time

from tests.support.wire import CONNECT

ACTIONS_PER_S = 2000
_TICK_S = 0.001
_ROLES = ("silent", "silent", "dribbler", "violator", "flooder", "deaf", "half-open", "half-shut")
_NOISES = 50
_GARBAGE = (
    b"PUB a 99999999999\r\n",
    b"SUB " + b"x" * 5000,
    b"\x16\x03\x01\x00\xff" + b"\x00" * 100,
    b"CONNECT " + b'{"a":' * 500 + b"\r\n",
    b"HPUB a 100 10\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
)


class Peer:
    """One of the crowd; whenever the server closes it, it comes again."""

    def __init__(self, address: tuple[str, int], number: int, dice: random.Random) -> None:
        self.address = address
        self.number = number
        self.dice = dice
        self.role = _ROLES[number % len(_ROLES)]
        self.sid = 0
        self.connection = self._connect()

    def act(self) -> None:
        """Misbehave once."""
        try:
            self._act()
        except BlockingIOError:
            # Nobody reads this peer any more: that is the server's good right.
            return
        except OSError:
            self.connection.close()
            self.connection = self._connect()

    def _act(self) -> None:
        match self.role:
            case "dribbler":
                self.connection.send(b"x")
            case "violator":
                self.connection.send(self.dice.choice(_GARBAGE))
                self.connection.close()
                self.connection = self._connect()
            case "flooder":
                self.sid += 20
                lines = (b"SUB flood.%d.%d %d\r\n" % (self.number, sid, sid) for sid in range(20))
                self.connection.send(b"".join(lines))
            case "deaf":
                noise = b"PUB noise.%d 200\r\n%b\r\n" % (self.number % _NOISES, b"x" * 200)
                self.connection.send(noise * 10)
            case "half-shut":
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.close()
                self.connection = self._connect()
            case _:
                # The silent, and those who stop in the middle of their CONNECT, only stay.
                if self.connection.recv(4096, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"":
                    raise ConnectionResetError

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=30)
        first = {
            "silent": b"",
            "half-open": CONNECT[:20],
            "dribbler": CONNECT + b"PUB dribble 1000000\r\n",
            "deaf": CONNECT + b"SUB noise.%d 1\r\n" % (self.number % _NOISES),
        }.get(self.role, CONNECT)
        if first:
            connection.send(first)
        connection.settimeout(0)
        return connection


def main() -> None:
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    dice = random.Random(count)
    crowd = [Peer((host, port), number, dice) for number in range(count)]
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print("READY", flush=True)
    action_count, began = 0, time.monotonic()
    while not select.select([sys.stdin], [], [], _TICK_S)[0]:
        start = time.monotonic()
        for _ in range(int(ACTIONS_PER_S * _TICK_S)):
            dice.choice(crowd).act()
            action_count += 1
            if time.monotonic() - start > 0.05:
                break
    print(f"{action_count / (time.monotonic() - began):.0f}", flush=True)
    for peer in crowd:
        peer.connection.close()


if __name__ == "__main__":
    main()
