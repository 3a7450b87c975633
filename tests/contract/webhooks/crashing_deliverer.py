"""A process that delivers from the given database until somebody kills it: ``python … FILE``."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime

from gateway.storage.database import Database
from gateway.storage.outbox import SqlOutbox
from gateway.storage.webhook_book import SqlEndpointBook
from gateway.webhooks.core.ssrf import Policy
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.poster import GuardedPoster


class SystemClock:
    def wall(self) -> datetime:
        return datetime.now(UTC)

    def mono(self) -> float:
        return time.monotonic()


async def main(file: str) -> None:
    database = await Database.open(f"sqlite:///{file}")
    clock = SystemClock()
    book = SqlEndpointBook(clock.mono, str)
    outbox = SqlOutbox(database, book, clock, lambda prefix: f"{prefix}_x")
    await Deliverer(outbox, GuardedPoster(Policy(allow_private=True)), clock, lambda: 0.5).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
