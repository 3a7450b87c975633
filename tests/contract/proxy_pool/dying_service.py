"""The masking service as a process that kills itself at a given point of a given verb.

It opens session 0 for persons 1 and 2, then does one more thing and dies in the middle of it:

    open    session 1 for persons 1 and 3; points 2, 3, 4 of ``proxy_pool.placing``
    change  person 3 takes person 2's seat in session 0; ``suspended``, 2, 3, ``decided``, ``told``
    close   session 0; ``suspended``, ``decided``, ``told``

``suspended``: the index holds the doors PENDING. ``decided``: the ledger has it, the index does not.
``told``: the index has it too, the answer is not out. What was acknowledged is printed, a line each.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from proxy_pool.core.session import Binding, Door, SessionId
from proxy_pool.desk import NewSession, Seating, SessionChange
from proxy_pool.placing import Point
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import open_redis
from tests.contract.proxy_pool.index_rig import MORTAL, until
from tests.contract.proxy_pool.service_rig import pages_of
from tests.rig.masking import TENANT, Hand, Service, person, service, ulid

SECRET = b"of a process that dies"
QUARANTINE_S = 300
_STAYS_S = 20.0
"""A process that was to die and did not ends by itself."""


def sid(count: int) -> SessionId:
    return SessionId(ulid("ses", count))


def wanted(a: int, b: int) -> NewSession:
    terms = {"quarantine_s": QUARANTINE_S}
    return NewSession(Seating(person(a)), (Seating(person(b)),), terms=terms)


def to_person(count: int) -> SessionChange:
    return SessionChange(others=(Seating(person(count)),))


class Death:
    """Comes at one point, once it is told to wait for it."""

    def __init__(self, at: str) -> None:
        self._at = at
        self.waits = False

    def passed(self, point: str) -> None:
        if self.waits and point == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def passed_point(self, point: Point) -> None:
        self.passed(str(point.value))


class DyingIndex(RedisIndex):
    """The index in Redis, with death before and after what it is told."""

    death: Death

    async def suspend(self, doors: Sequence[Door], now: float) -> None:
        await super().suspend(doors, now)
        self.death.passed("suspended")

    async def put(self, bindings: Sequence[Binding], now: float) -> None:
        self.death.passed("decided")
        await super().put(bindings, now)
        self.death.passed("told")


async def life(asked: argparse.Namespace) -> None:
    death, hand = Death(asked.point), Hand(at=asked.at)
    hand.on_point = death.passed_point
    database = await Database.open(asked.database)
    ledger, book = SqlLedger(database, Cursors(SECRET)), SqlPoolBook(database)
    index = DyingIndex(open_redis(asked.redis), SECRET, now=hand.now, patience=MORTAL)
    index.death = death
    made = await service(index, ledger=ledger, book=book, hand=hand, numbers=asked.numbers)
    running = asyncio.create_task(index.run(lambda: pages_of(ledger)))
    await until(lambda: index.trusted)
    await made.sessions.open(TENANT, wanted(1, 2), sid(0))
    await made.sessions.settle()
    tell("opened 0")
    death.waits = True
    await one_thing(made, asked.verb)
    await asyncio.sleep(_STAYS_S)
    running.cancel()


async def one_thing(made: Service, verb: str) -> None:
    match verb:
        case "open":
            await made.sessions.open(TENANT, wanted(1, 3), sid(1))
        case "change":
            await made.sessions.change(TENANT, sid(0), to_person(3))
        case "close":
            await made.sessions.close(TENANT, sid(0))
    tell(f"{verb} done")


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("database", "redis", "verb", "point"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--at", type=float, required=True)
    parser.add_argument("--numbers", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(life(arguments()))
