"""The deliverer is killed in the middle of an attempt: nothing is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.poster import GuardedPoster

if TYPE_CHECKING:
    from .conftest import Doors, Received, Receiver

    Make = Callable[[], Awaitable[Receiver]]

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).with_name("crashing_deliverer.py")


async def test_sigkill_during_an_attempt_sends_it_again_with_the_same_id(
    sql_doors: Doors, receivers: Make, tmp_path: Path
) -> None:
    doors, receiver = sql_doors, await receivers()
    doors.clock.advance((datetime.now(UTC) - doors.clock.wall()).total_seconds())
    killed = asyncio.Event()

    async def answer(_: Received) -> web.StreamResponse:
        await killed.wait()
        return web.Response()

    receiver.answer = answer
    endpoint = await doors.endpoint()
    await doors.db.write(lambda conn: doors.book.put(conn, replace(endpoint, url=receiver.url())))
    await doors.tell(event_id="evt_1")
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), str(tmp_path / "webhooks.db"), env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        (first,) = await receiver.got(1, within_s=60)
    finally:
        child.kill()
        await child.wait()
    killed.set()
    poster = GuardedPoster(Policy(allow_private=True))
    deliverer = Deliverer(doors.outbox, poster, doors.clock, lambda: 0.5)
    await deliverer.start()
    assert await doors.claim(endpoint.id) == []  # the dead process's claim still stands
    doors.clock.advance((datetime.now(UTC) - doors.clock.wall()).total_seconds() + 60)
    deliverer.notify()
    second = (await receiver.got(2))[1]
    await deliverer.stop(grace_s=60, record_s=60)
    await poster.close()
    assert (first.id, first.body) == (second.id, second.body)
    assert first.id == "evt_1"
    assert await doors.outbox.waiting() == []
