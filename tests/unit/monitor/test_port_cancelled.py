"""A monitoring port whose start is given up half way."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from keelback.monitor.access import Access
from keelback.monitor.http import Monitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keelback.monitor.facts import Facts


def no_facts(_: Mapping[str, int]) -> Facts:
    raise AssertionError


async def give_up(monitor: Monitor, listening: socket.socket) -> None:
    starting = asyncio.create_task(monitor.start(listening))
    await asyncio.sleep(0)
    starting.cancel()
    with suppress(asyncio.CancelledError):
        await starting
    await monitor.stop()


def test_a_start_that_is_cancelled_leaves_no_socket() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with ThreadPoolExecutor(1) as pool:
        monitor = Monitor(
            no_facts,
            access=Access(user="", password="", token=""),
            base_path="",
            log=lambda _, __: None,
            executor=pool,
        )
        asyncio.run(give_up(monitor, listening))
    assert listening.fileno() == -1
