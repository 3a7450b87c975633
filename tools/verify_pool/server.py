"""The masking service as one process that may die at any moment: SQLite, Redis, the real service.

Speaks JSON lines on a unix socket. ``{"verb": "die_at", "point": n}`` makes it kill itself the next time an
opening passes that crash point.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.errors import Duplicate
from gateway.storage.keys import TenantRepository
from gateway.storage.masking_ledger import SqlLedger
from gateway.storage.masking_pool import SqlPoolBook
from gateway.storage.masking_settings import SqlSettings
from gateway.storage.records import Tenant
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.opening import used
from proxy_pool.core.party import key_of
from proxy_pool.core.reach import Reached, reach
from proxy_pool.core.session import Binding, Channel, Session, SessionId
from proxy_pool.desk import NewSession, Seating, SessionChange
from proxy_pool.drafts import Makers
from proxy_pool.keeper import Keeper
from proxy_pool.placing import Placer, Point
from proxy_pool.pool_memory import PoolMemory
from proxy_pool.sessions import Places, Sessions
from proxy_pool.settings_memory import SettingsMemory
from proxy_pool.store_memory import MemoryIndex
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import open_redis
from proxy_pool.upkeep import KeptIndex
from telephony.errors import Conflict, NotFound, PatchbayError
from telephony.ids import TenantId
from telephony.numbers import E164
from tools.verify_pool.history import RunClock

TENANT = TenantId("ten_01J00000000000000000000000")
_PAGE = 2000
_SECRET = b"of a verification run alone"


class NoCopy:
    """There is no switch here."""

    def keep(self, session: Session) -> None:
        """Nowhere to keep it."""

    def forget(self, session: Session) -> None:
        """Nowhere to forget it."""


class Server:
    """One life of the service."""

    def __init__(self, sessions: Sessions, ledger: SqlLedger, quarantine_s: int, now: Any) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._quarantine_s = quarantine_s
        self._now = now

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(self._answer(json.loads(line), writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        try:
            answer = await getattr(self, f"do_{request['verb']}")(request)
        except PatchbayError as error:
            answer = {"refused": error.code}
        writer.write(json.dumps({"n": request["n"], **answer}).encode() + b"\n")

    async def do_open(self, request: dict[str, Any]) -> dict[str, Any]:
        session_id = SessionId(request["session"])
        wanted = NewSession(
            Seating(E164(request["a"])),
            (Seating(E164(request["b"])),),
            terms={
                "expires_at": self._now() + request["life_s"],
                "quarantine_s": self._quarantine_s,
                "numbers": "shared" if request["shared"] else "per_side",
            },
        )
        again = bool(request.get("again"))
        return {"session": shown(await self._sessions.open(TENANT, wanted, session_id, again=again))}

    async def do_close(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"session": shown(await self._sessions.close(TENANT, SessionId(request["session"])))}

    async def do_change(self, request: dict[str, Any]) -> dict[str, Any]:
        change = SessionChange(others=(Seating(E164(request["b"])),))
        changed = await self._sessions.change(TENANT, SessionId(request["session"]), change)
        return {"session": shown(changed)}

    async def do_use(self, request: dict[str, Any]) -> dict[str, Any]:
        session_id = SessionId(request["session"])
        known = await self._sessions.get(TENANT, session_id)
        now = self._now()
        noted = await self._ledger.use(TENANT, session_id, 1, now, used(known, 1, now).ends_at)
        if noted is None:
            return {"refused": "SESSION_CLOSED"}
        self._sessions.used(noted)
        return {"session": shown(noted)}

    async def do_get(self, request: dict[str, Any]) -> dict[str, Any]:
        with suppress(NotFound):
            return {"session": shown(await self._sessions.get(TENANT, SessionId(request["session"])))}
        return {}

    async def do_resolve(self, request: dict[str, Any]) -> dict[str, Any]:
        """Who would be connected: the look-up, and whom the seat reaches."""
        found = await self._sessions.resolve(TENANT, request["key"], E164(request["proxy"]))
        if found is None:
            return {}
        session, seat = found
        way = reach(session, seat, Channel.VOICE, self._now())
        if not isinstance(way, Reached):
            return {}
        return {"session": shown(session), "seat": seat, "target": key_of(way.target)}


def shown(session: Session) -> dict[str, Any]:
    people = [(key_of(one.party), one.proxy.reveal(), one.seat) for one in session.participants]
    return {"id": session.id, "people": people, "ends_at": session.ends_at, "live": session.live}


async def add_tenant(database: Database, book: SqlPoolBook, numbers: int) -> None:
    """The tenant and its pool, unless an earlier life made them."""
    tenants = TenantRepository(database)
    if await tenants.get(TENANT) is None:
        with suppress(Duplicate):  # another service was faster
            await tenants.create(Tenant(TENANT, "verify", datetime.now(UTC)))
    known = {number.id for number in await book.numbers()}
    for count in range(1, numbers + 1):
        number = pool_number(count)
        if number.id not in known:
            with suppress(Conflict):  # another service was faster
                await book.add(number)


def pool_number(count: int) -> PoolNumber:
    return PoolNumber(
        id=f"num_01J{count:023d}",
        tenant=TENANT,
        number=E164(f"+1202555{count:04d}"),
        index=0,
        country="US",
        area="202",
        capabilities=frozenset(Channel),
    )


def pages_of(ledger: SqlLedger) -> AsyncIterator[Sequence[Binding]]:
    """Every held binding, for the index to fill itself."""

    async def pages() -> AsyncIterator[Sequence[Binding]]:
        after = 0
        while rows := await ledger.all_held(after, _PAGE):
            after = rows[-1][0]
            yield [binding for _, binding in rows]

    return pages()


class Death:
    """Dies at a crash point, when told to."""

    def __init__(self) -> None:
        self.at: int | None = None

    def reached(self, point: Point) -> None:
        if self.at == point:
            os.kill(os.getpid(), signal.SIGKILL)


def make_index(wanted: argparse.Namespace) -> KeptIndex:
    if wanted.index == "memory":
        return MemoryIndex()
    return RedisIndex(open_redis(wanted.redis), _SECRET, member=wanted.member)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("database", "redis", "socket", "member"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--numbers", type=int, required=True)
    parser.add_argument("--quarantine", type=int, required=True)
    parser.add_argument("--clock", type=float, required=True, help="the offset of the run's clock")
    parser.add_argument("--index", choices=("redis", "memory"), default="redis")
    return parser.parse_args()


async def serve(wanted: argparse.Namespace) -> None:
    """This life, until it is killed."""
    clock, dice = RunClock(wanted.clock), random.Random()
    database = await Database.open(wanted.database)
    await database.migrate()
    ledger, book = SqlLedger(database, Cursors(b"verify")), SqlPoolBook(database)
    await add_tenant(database, book, wanted.numbers)
    index = make_index(wanted)
    pool = PoolMemory(book, dice.randrange)
    await pool.refresh(load=True)
    death = Death()
    settings = SettingsMemory(SqlSettings(database), clock.epoch)
    makers = Makers(clock.epoch, lambda count: "".join(dice.choices("0123456789", k=count)), lambda _: "US")
    placer = Placer(ledger, index, pool, clock.epoch, death.reached)
    places = Places(ledger, index, pool, NoCopy(), placer, makers, settings.of, lambda session: None)
    sessions = Sessions(places)

    async def no_notice(tenant: TenantId) -> int:
        return 0

    keeper = Keeper(sessions, ledger, index, pool, clock.epoch, no_notice)
    keeper.start()
    upkeep = asyncio.create_task(index.run(lambda: pages_of(ledger)))
    server = Server(sessions, ledger, wanted.quarantine, clock.epoch)

    async def die_at(request: dict[str, Any]) -> dict[str, Any]:
        death.at = request["point"]
        return {}

    server.do_die_at = die_at  # type: ignore[attr-defined]
    async with await asyncio.start_unix_server(server.serve, wanted.socket, limit=1 << 20):
        await asyncio.gather(upkeep, asyncio.Event().wait())


def main() -> None:
    asked = arguments()
    Path(asked.socket).unlink(missing_ok=True)
    asyncio.run(serve(asked))


if __name__ == "__main__":
    main()
