"""The masking ledger in SQL: it decides. Fits ``proxy_pool.ports.Ledger``.

Two requests for one door are decided by ``uq_proxy_bindings_held`` alone, on both databases and whatever runs
beside: an insert that meets a held door does nothing, the holder is read, and the whole transaction is undone
unless it gives way. On PostgreSQL such an insert waits for another one that is not committed yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from gateway.storage import masking_statements as sql
from gateway.storage.columns import seconds_to_micros
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.gathered import GatheredReads
from gateway.storage.masking_events import MaskingTold, NobodyTold
from gateway.storage.masking_lists import page_of_sessions
from gateway.storage.masking_rows import (
    BindingRow,
    Row,
    SessionRow,
    binding_rows,
    session_row,
    to_binding,
    to_session,
)
from proxy_pool.core.holding import IN_PROGRESS, closed, follows, gives_way, may_close, not_in_pool, noted
from proxy_pool.core.opening import used
from proxy_pool.core.session import Binding, CloseReason, Session, SessionId, Status
from proxy_pool.ports import NameTaken, PairTaken, SessionEvent, SessionFilter, SessionPage, StaleVersion
from telephony.errors import StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

HISTORY_S: Final = 30 * 86_400.0
"""How long the numbers of a pair are remembered after they are free again."""
_TRIES: Final = 5
_HUNDRED_YEARS: Final = 3_155_760_000.0


class SqlLedger:
    """Every query but the sweepers' (``due``, ``expiring``, ``sweep``, ``all_…``) carries the tenant."""

    def __init__(self, database: Database, cursors: Cursors, told: MaskingTold | None = None) -> None:
        self._database = database
        self._cursors = cursors
        self._told = told or NobodyTold()
        self._reads = GatheredReads(database)

    # ------------------------------------------------------------ changes

    async def open(
        self, session: Session, bindings: Sequence[Binding], events: Sequence[SessionEvent]
    ) -> None:
        row = session_row(session)
        doors = binding_rows(session, bindings)

        def work(conn: Connection) -> Sequence[str]:
            seq = sql.ADD_SESSION.scalar(conn, row)
            if seq is None:
                if sql.IS_THERE.scalar(conn, row) is None:
                    raise NameTaken
                return ()
            self._add_all(conn, [{**one, "session_seq": seq} for one in doors], bindings, session.created_at)
            return self._told.session(conn, session, events) if events else ()

        self._told.committed(await self._database.write(work))

    async def change(
        self, after: Session, bindings: Sequence[Binding], free_at: float, events: Sequence[SessionEvent]
    ) -> Sequence[Binding]:
        row = session_row(after)
        until = free_at if after.free_at is None else after.free_at
        at = events[0].at if events else after.created_at

        def work(conn: Connection) -> tuple[list[Binding], Sequence[str]]:
            before = _locked(conn, after.tenant, after.id)
            if before is None or not follows(after, before.session()):
                raise StaleVersion
            if after.unique_name != (before.unique_name or "") and sql.NAMED.scalar(conn, row) is not None:
                raise NameTaken
            sql.CHANGE.run(conn, {**row, "seq": before.seq})
            fresh, gone = _rebind(conn, before.seq, bindings, until)
            rows = [{**one, "session_seq": before.seq} for one in binding_rows(after, fresh)]
            self._add_all(conn, rows, fresh, at)
            stands = SessionRow._make(sql.GET.rows(conn, row)[0]).session()
            told = self._told.session(conn, stands, events) if events else ()
            return [_quarantined(one, until, after.version) for one in gone], told

        quarantined, told = await self._database.write(work)
        self._told.committed(told)
        return quarantined

    async def close(
        self,
        tenant: TenantId,
        session_id: SessionId,
        reason: CloseReason,
        at: float,
        free_at: float,
        events: Sequence[SessionEvent],
    ) -> tuple[Session, Sequence[Binding]] | None:
        def work(conn: Connection) -> tuple[Session, list[Binding], Sequence[str]] | None:
            row = _locked(conn, tenant, session_id)
            if row is None or not may_close(row.session(), reason, at):
                return None
            session = closed(row.session(), reason, at, free_at)
            sql.CLOSE.run(conn, {**session_row(session), "seq": row.seq})
            live = [one for one in _own(conn, row.seq) if one.until is None]
            _quarantine(conn, live, free_at)
            told = self._told.session(conn, session, events) if events else ()
            return session, [_quarantined(one, free_at, session.version) for one in live], told

        done = await self._database.write(work)
        if done is None:
            return None
        session, quarantined, told = done
        self._told.committed(told)
        return session, quarantined

    async def use(
        self, tenant: TenantId, session_id: SessionId, seat: int, at: float, ends_at: float
    ) -> Session | None:
        done = await self._database.write(
            lambda conn: self.use_in(conn, tenant, session_id, seat, at, ends_at)
        )
        if done is None:
            return None
        session, told = done
        self._told.committed(told)
        return session

    def use_in(
        self,
        conn: Connection,
        tenant: TenantId,
        session_id: SessionId,
        seat: int,
        at: float,
        ends_at: float | None = None,
    ) -> tuple[Session, Sequence[str]] | None:
        """The same within somebody's transaction, with what ``MaskingTold.committed`` wants to know after it.

        Without ``ends_at`` the session's own terms say where its end moves to.
        """
        row = _locked(conn, tenant, session_id)
        if row is None:
            return None
        before = row.session()
        moved = used(before, seat, at).ends_at if ends_at is None else ends_at
        session = noted(before, seat, at, moved)
        if session is None:
            return None
        sql.USE.run(conn, {**session_row(session), "seq": row.seq})
        first = row.status == Status.OPEN
        return session, self._told.session(conn, session, _begun(at)) if first else ()

    async def told_expiring(self, session: Session, events: Sequence[SessionEvent]) -> None:
        ends_at = seconds_to_micros(session.ends_at)

        def work(conn: Connection) -> Sequence[str]:
            row = _locked(conn, session.tenant, session.id)
            if row is None or row.told_expiring or row.ends_at != ends_at or row.status == Status.CLOSED:
                return ()
            row = row._replace(version=row.version + bool(events))
            sql.TOLD.run(conn, row._asdict())
            return self._told.session(conn, row.session(), events) if events else ()

        self._told.committed(await self._database.write(work))

    async def sweep(self, now: float, limit: int) -> Sequence[Binding]:
        wanted = {"now": seconds_to_micros(now), "limit": limit}
        forgotten_at = seconds_to_micros(now + HISTORY_S)

        def work(conn: Connection) -> list[Binding]:
            over = [BindingRow._make(found) for found in sql.OVER.rows(conn, wanted)]
            sql.FREE.run_each(conn, [{"seq": one.seq, "until": forgotten_at} for one in over])
            sql.FORGET.run(conn, wanted)
            return [one.binding() for one in over]

        return await self._database.write(work)

    # ------------------------------------------------------------ questions

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session | None:
        wanted = {"id": session_id, "tenant_id": tenant}
        found = await self._reads.rows((sql.GET,), wanted)
        return to_session(found[0]) if found else None

    async def bindings_of(self, tenant: TenantId, session_id: SessionId) -> Sequence[Binding]:
        wanted = {"id": session_id, "tenant_id": tenant}
        found = await self._database.read(lambda conn: sql.BINDINGS_OF.rows(conn, wanted))
        return [to_binding(one) for one in found]

    async def page(
        self, tenant: TenantId, wanted: SessionFilter, *, limit: int, cursor: str | None = None
    ) -> SessionPage:
        """Raises MalformedRequest (INVALID_CURSOR), also for a cursor of another filter.

        A party's closed sessions are found for as long as its numbers are remembered (``HISTORY_S``).
        """
        return await self._database.read(page_of_sessions(tenant, wanted, limit, cursor, self._cursors))

    async def resolve(self, tenant: TenantId, key: str, proxy: E164, now: float) -> Binding | None:
        wanted = {"tenant_id": tenant, "participant": key, "proxy": proxy.reveal()}
        found = await self._reads.rows((sql.RESOLVE,), wanted)
        if not found:
            return None
        row = BindingRow._make(found[0])
        return None if row.until is not None and row.until <= seconds_to_micros(now) else row.binding()

    async def held(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        wanted = {"tenant_id": tenant, "participant": key, "now": seconds_to_micros(now)}
        found = await self._database.read(lambda conn: sql.HELD.rows(conn, wanted))
        return frozenset(one[0] for one in found)

    async def last_of_pair(self, tenant: TenantId, key: str, peer: str) -> tuple[E164, E164] | None:
        wanted = {"tenant_id": tenant, "participant": key, "peer": peer}
        found = [tuple(one) for one in await self._reads.rows(sql.LAST_OF_PAIR, wanted)]
        if not found:
            return None
        _, mine, theirs = max(found)
        return E164(mine), E164(theirs)

    async def due(self, now: float, limit: int) -> Sequence[Session]:
        wanted = {"after": 0, "before": seconds_to_micros(now), "limit": limit}

        def work(conn: Connection) -> list[SessionRow]:
            found = [*sql.UNTOLD.rows(conn, wanted), *sql.TOLD_OF.rows(conn, wanted)]
            return sorted(map(SessionRow._make, found), key=lambda row: (row.ends_at, row.seq))

        return [row.session() for row in (await self._database.read(work))[:limit]]

    async def expiring(self, now: float, within_s: float, limit: int) -> Sequence[Session]:
        horizon = seconds_to_micros(now + min(within_s, _HUNDRED_YEARS))
        wanted = {"after": seconds_to_micros(now), "before": horizon, "limit": limit}
        found = await self._database.read(lambda conn: sql.UNTOLD.rows(conn, wanted))
        return [to_session(one) for one in found]

    async def all_held(self, after: int, limit: int) -> Sequence[tuple[int, Binding]]:
        wanted = {"after": after, "limit": limit}
        found = await self._database.read(lambda conn: sql.ALL_HELD.rows(conn, wanted))
        return [(one[0], to_binding(one)) for one in found]

    async def all_open(self, after: int, limit: int) -> Sequence[tuple[int, Session]]:
        wanted = {"after": after, "limit": limit}
        found = await self._database.read(lambda conn: sql.ALL_OPEN.rows(conn, wanted))
        rows = [SessionRow._make(one) for one in found]
        return [(row.seq, row.session()) for row in rows]

    # ------------------------------------------------------------ within a transaction

    def _add_all(self, conn: Connection, rows: Sequence[Row], bindings: Sequence[Binding], at: float) -> None:
        """Store new live bindings, or raise: then nothing of the transaction stays."""
        add = sql.ADD_BINDING[self._database.dialect]
        known = {(one.door.key, one.door.proxy.reveal()): one for one in bindings}
        for row in rows:
            if add.run(conn, row) == 1:
                continue
            binding = known[row["participant"], row["proxy"]]
            if not any(_made_way(conn, row, binding, at) and add.run(conn, row) == 1 for _ in range(_TRIES)):
                raise StorageUnavailable


def _made_way(conn: Connection, row: Row, binding: Binding, at: float) -> bool:
    """After an insert that did nothing: free the door if that is allowed. Raises PairTaken, Conflict."""
    if sql.POOLED.scalar(conn, row) is None:
        raise not_in_pool(binding.door)
    for found in sql.HOLDER.rows(conn, row):
        holder = BindingRow._make(found)
        if not gives_way(holder.binding(), binding, at):
            raise PairTaken(holder.binding())
        sql.FREE.run(conn, {"seq": holder.seq, "until": seconds_to_micros(at + HISTORY_S)})
    return True


def _locked(conn: Connection, tenant: TenantId, session_id: SessionId) -> SessionRow | None:
    found = sql.LOCK.rows(conn, {"id": session_id, "tenant_id": tenant})
    return SessionRow._make(found[0]) if found else None


def _own(conn: Connection, seq: int) -> list[BindingRow]:
    return [BindingRow._make(found) for found in sql.OWN.rows(conn, {"session_seq": seq})]


def _rebind(
    conn: Connection, seq: int, wanted: Sequence[Binding], until: float
) -> tuple[list[Binding], list[BindingRow]]:
    """Bring a session's live bindings to those that are wanted: what is still to be added, and what went."""
    mine = {(one.participant, one.proxy): one for one in _own(conn, seq) if one.until is None}
    left = {(one.door.key, one.door.proxy.reveal()): one for one in wanted}
    gone = [row for door, row in mine.items() if door not in left]
    _quarantine(conn, gone, until)
    kept = [(mine[door].seq, one) for door, one in left.items() if door in mine]
    sql.RESEAT.run_each(conn, [{"seq": of, "seat": one.entry.seat, "peer": one.peer} for of, one in kept])
    return [one for door, one in left.items() if door not in mine], gone


def _quarantine(conn: Connection, rows: Sequence[BindingRow], until: float) -> None:
    sql.QUARANTINE.run_each(conn, [{"seq": row.seq, "until": seconds_to_micros(until)} for row in rows])


def _quarantined(row: BindingRow, until: float, version: int) -> Binding:
    return row._replace(hold=2, until=seconds_to_micros(until), version=version).binding()


def _begun(at: float) -> Sequence[SessionEvent]:
    return (SessionEvent(IN_PROGRESS, at),)
