"""Rosters of rooms, bans, claims of identities, and the reports already taken, in SQL. Fits
``video_rooms.ports.PeopleStore``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, delete, insert, or_, select, text, update

from gateway.storage.database import Database
from gateway.storage.errors import Duplicate
from gateway.storage.statements import first, insert_new, run, upsert
from gateway.storage.tables_rooms import ROOM_BANS as B
from gateway.storage.tables_rooms import ROOM_CLAIMS as C
from gateway.storage.tables_rooms import ROOM_PEOPLE as P
from gateway.storage.tables_rooms import ROOM_REPORTS as T
from telephony.errors import StorageUnavailable
from video_rooms.core.room import Ban, Person, Presence, Role

_TRIES: Final = 3
_SESSIONS: Final = (
    "SELECT DISTINCT session FROM room_people"
    " WHERE presence IN ('joined', 'waiting') AND sid <> '' ORDER BY session"
)
"""Spelled out, as its partial index has it."""


class RoomPeopleRepository:
    """Rooms are named by their id, which nobody can guess; whose room it is, the caller has looked up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------ the roster

    async def put(self, person: Person) -> None:
        row = _row(person)
        await self._database.write(lambda conn: upsert(conn, P, row, ("room_id", "identity")))

    async def change(
        self, room_id: str, identity: str, edit: Callable[[Person | None], Person | None]
    ) -> Person | None:
        """See the port. Two who add the same line at once: the second one sees the first one's."""
        mine = (P.c.room_id == room_id, P.c.identity == identity)

        def work(conn: Connection) -> Person | None:
            row = first(conn, select(P).where(*mine).with_for_update())
            known = None if row is None else _person(row)
            edited = edit(known)
            if edited is None or edited == known:
                return known
            if known is None:
                run(conn, insert(P).values(_row(edited)))
            else:
                run(conn, update(P).where(*mine).values(_row(edited)))
            return edited

        for _ in range(_TRIES):
            try:
                return await self._database.write(work)
            except Duplicate:
                continue
        raise StorageUnavailable

    async def drop(self, room_id: str, identity: str) -> None:
        mine = delete(P).where(P.c.room_id == room_id, P.c.identity == identity)
        await self._database.write(lambda conn: run(conn, mine))

    async def clear(self, room_id: str, session: str) -> None:
        left = (P.c.room_id == room_id, P.c.presence == Presence.LEFT.value, P.c.session != session)
        await self._database.write(lambda conn: run(conn, delete(P).where(*left)))

    async def of(self, room_id: str) -> tuple[Person, ...]:
        query = select(P).where(P.c.room_id == room_id)
        query = query.order_by(P.c.joined_at.is_(None), P.c.joined_at, P.c.identity)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_person(row) for row in rows)

    async def one(self, room_id: str, identity: str) -> Person | None:
        query = select(P).where(P.c.room_id == room_id, P.c.identity == identity)
        row = await self._database.read(lambda conn: first(conn, query))
        return None if row is None else _person(row)

    async def outside(self) -> tuple[Person, ...]:
        """See the port. Asked once, at the start."""
        waits = and_(P.c.presence == Presence.WAITING.value, P.c.sid == "")
        called = P.c.presence.in_((Presence.PENDING.value, Presence.RINGING.value))
        query = select(P).where(or_(waits, called)).order_by(P.c.room_id, P.c.identity)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return tuple(_person(row) for row in rows)

    async def sessions(self) -> tuple[str, ...]:
        query = text(_SESSIONS)
        return await self._database.read(lambda conn: tuple(conn.execute(query).scalars().all()))

    # ------------------------------------------------------------ bans and claims

    async def ban(self, ban: Ban) -> None:
        row = {"live_name": ban.live_name, "identity": ban.identity, "at": ban.at}
        mine = (B.c.live_name == ban.live_name, B.c.identity == ban.identity)

        def work(conn: Connection) -> None:
            if not insert_new(conn, B, row):
                run(conn, update(B).where(*mine, B.c.at < ban.at).values(at=ban.at))

        await self._database.write(work)

    async def ban_of(self, live_name: str, identity: str) -> Ban | None:
        query = select(B).where(B.c.live_name == live_name, B.c.identity == identity)
        row = await self._database.read(lambda conn: first(conn, query))
        return None if row is None else Ban(row["live_name"], row["identity"], row["at"])

    async def bans_of(self, live_name: str) -> Mapping[str, Ban]:
        query = select(B).where(B.c.live_name == live_name)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        return {row["identity"]: Ban(live_name, row["identity"], row["at"]) for row in rows}

    async def claim(
        self, live_name: str, identity: str, now: datetime, until: datetime, *, member: bool = False
    ) -> bool:
        row = {"live_name": live_name, "identity": identity, "member": member, "until": until}
        mine = (C.c.live_name == live_name, C.c.identity == identity)

        def work(conn: Connection) -> bool:
            if insert_new(conn, C, row):
                return True
            known = first(conn, select(C).where(*mine).with_for_update())
            held = known is not None and known["until"] > now
            if known is None or not held:
                run(conn, update(C).where(*mine).values(member=member, until=until))
                return True
            if member:
                run(conn, update(C).where(*mine).values(member=True, until=max(until, known["until"])))
            return member and bool(known["member"])

        return await self._database.write(work)

    # ------------------------------------------------------------ reports

    async def first_time(self, event_id: str, at: datetime) -> bool:
        row = {"id": event_id, "at": at}
        return await self._database.write(lambda conn: insert_new(conn, T, row))

    async def not_taken(self, event_id: str) -> None:
        await self._database.write(lambda conn: run(conn, delete(T).where(T.c.id == event_id)))

    async def purge(self, before: datetime) -> None:
        def work(conn: Connection) -> None:
            run(conn, delete(B).where(B.c.at < before))
            run(conn, delete(C).where(C.c.until < before))
            run(conn, delete(T).where(T.c.at < before))

        await self._database.write(work)


def _row(person: Person) -> dict[str, Any]:
    return {
        "room_id": person.room_id,
        "identity": person.identity,
        "display_name": person.display_name,
        "role": person.role.value,
        "presence": person.presence.value,
        "joined_at": person.joined_at,
        "left_at": person.left_at,
        "muted": person.muted,
        "hand_raised": person.hand_raised,
        "call_id": person.call_id,
        "why_left": person.why_left,
        "sid": person.sid,
        "session": person.session,
        "admitted": person.admitted,
    }


def _person(row: RowMapping) -> Person:
    told = {**row, "role": Role(row["role"]), "presence": Presence(row["presence"])}
    return Person(**told)
