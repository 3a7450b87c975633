"""Webhooks through the real outbox against a bare aiohttp loop: ``python -m bench.webhooks``.

Both send the same bodies to the same receiver process with the same number in flight, in rounds that take
turns, so that a busy machine troubles both alike. Ours includes everything a call pays for: the event and
its delivery written in a transaction of their own per event (SQLite, group commit), claimed, signed twice,
sent through the guarded client, and settled. The delay of the first attempt is measured at a steady pace,
from the moment the commit returned to the arrival at the receiver.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench.report import write_result
from gateway.clocks import SystemClock, chance, new_id, random_bytes
from gateway.storage.database import Database
from gateway.storage.outbox import SqlOutbox
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.webhooks.core.events import WebhookEvent, render
from gateway.webhooks.core.signing import SECRET_BYTES, make_secret
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.ports import Endpoint
from gateway.webhooks.poster import GuardedPoster

ROUNDS = 5
BATCH = 2_000
IN_FLIGHT = 64
TENANTS = 8
WRITERS = 64
PACE = 500.0
"""Events per second while the delay is measured: those of 125 calls a second."""
PACED_SECONDS = 5.0


def event(subject: str, sequence: int) -> WebhookEvent:
    """A body of the usual size (about 700 bytes)."""
    told = {
        "id": subject,
        "direction": "outbound",
        "to": "+14155552671",
        "from": "+12025551234",
        "status": "answered",
        "metadata": {"campaign": "retention", "note": "x" * 200},
        "created_at": "2026-03-08T12:00:00.000Z",
        "answered_at": "2026-03-08T12:00:07.000Z",
        "ended_at": None,
        "termination": None,
    }
    return WebhookEvent(new_id("evt"), "call.answered", datetime.now(UTC), subject, sequence, told)


async def bare_round(session: aiohttp.ClientSession, url: str) -> float:
    """Requests per second of a plain loop."""
    body = render(event("call_bare", 1))
    left = iter(range(BATCH))

    async def worker() -> None:
        for _ in left:
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as reply:
                await reply.read()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return BATCH / (time.perf_counter() - started)


@dataclass
class Ours:
    database: Database
    outbox: SqlOutbox
    deliverer: Deliverer

    async def tell(self, number: int) -> tuple[str, float]:
        """One event, committed; its id and the moment the commit returned."""
        told = event(new_id("call"), 1)
        tenant = f"ten_{number % TENANTS}"
        lanes = await self.database.write(lambda conn: self.outbox.fan_out(conn, tenant, told))
        committed = time.time()
        self.deliverer.notify(lanes)
        return told.id, committed

    async def flood(self) -> float:
        """Deliveries per second from the first transaction to the last settled outcome."""
        goal = self.deliverer.counts.delivered + BATCH
        left = iter(range(BATCH))

        async def writer() -> None:
            for number in left:
                await self.tell(number)

        started = time.perf_counter()
        await asyncio.gather(*(writer() for _ in range(WRITERS)))
        await self._settled(goal)
        return BATCH / (time.perf_counter() - started)

    async def paced(self, per_second: float) -> dict[str, float]:
        """Commit moments by event id, one event every 1/per_second seconds."""
        committed: dict[str, float] = {}
        goal = self.deliverer.counts.delivered + round(per_second * PACED_SECONDS)
        tasks: set[asyncio.Task[None]] = set()

        async def one(number: int) -> None:
            id_, moment = await self.tell(number)
            committed[id_] = moment

        started = time.perf_counter()
        for number in range(round(per_second * PACED_SECONDS)):
            await asyncio.sleep(started + number / per_second - time.perf_counter())
            tasks.add(asyncio.create_task(one(number)))
        await asyncio.gather(*tasks)
        await self._settled(goal)
        return committed

    async def _settled(self, goal: int) -> None:
        async with asyncio.timeout(60):
            while self.deliverer.counts.delivered < goal or await self.outbox.waiting():  # noqa: ASYNC110
                await asyncio.sleep(0.002)


@asynccontextmanager
async def receiver() -> Any:
    """The receiver process; gives its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.webhooks_receiver", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 30))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def ours(folder: str, url: str) -> Any:
    database = await Database.open(f"sqlite:///{Path(folder) / 'bench.db'}")
    await database.migrate()
    clock = SystemClock()
    book = SqlEndpointBook(clock.mono, lambda: make_secret(random_bytes(SECRET_BYTES)))
    for number in range(TENANTS):
        now, secret = clock.epoch(), make_secret(random_bytes(SECRET_BYTES))
        registered = Endpoint(
            new_id("wh"), f"ten_{number}", f"{url}/{number}", ("*",), "", True, now, now, secret
        )
        await database.write(lambda conn, one=registered: book.put(conn, one))
    outbox = SqlOutbox(database, book, clock, new_id)
    poster = GuardedPoster(Policy(allow_private=True))
    deliverer = Deliverer(outbox, poster, clock, chance)
    await deliverer.start()
    yield Ours(database, outbox, deliverer)
    await deliverer.stop()
    await poster.close()
    await database.close()


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            receiver() as url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            ours(folder, url) as patchbay,
        ):
            await bare_round(session, url)  # both warm up once, uncounted
            await patchbay.flood()
            bare, full = [], []
            for _ in range(ROUNDS):
                bare.append(await bare_round(session, url))
                full.append(await patchbay.flood())
            rate = statistics.median(full)
            await session.get(f"{url}/arrivals")
            pace = min(PACE, rate / 2)
            committed = await patchbay.paced(pace)
            async with session.get(f"{url}/arrivals") as reply:
                arrivals = await reply.json(content_type=None)
    delays = [1000 * (arrivals[id_] - moment) for id_, moment in committed.items()]
    write_result(
        "webhooks",
        figures={
            "deliveries_per_s": rate,
            "first_attempt_p50_ms": percentile(delays, 0.5),
            "first_attempt_p99_ms": percentile(delays, 0.99),
            "paced_per_s": pace,
            "in_flight": IN_FLIGHT,
            "body_bytes": len(render(event(new_id("call"), 1))),
        },
        baseline={"bare_aiohttp_per_s": statistics.median(bare)},
        ratio={"vs_bare": statistics.median(a / b for a, b in zip(full, bare, strict=True))},
    )


if __name__ == "__main__":
    uvloop.run(main())
