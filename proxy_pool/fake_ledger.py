"""A ledger in memory: the stand-in for SQL, exact, gone with the process.

It keeps the same promises as ``gateway.storage.masking_ledger``; one contract suite tests both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from proxy_pool.core.holding import IN_PROGRESS, closed, follows, gives_way, may_close, not_in_pool, noted
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.opening import USE_OF
from proxy_pool.core.party import key_of
from proxy_pool.core.session import (
    Binding,
    CloseReason,
    Door,
    Entry,
    Hold,
    Session,
    SessionId,
    Status,
)
from proxy_pool.ports import (
    ACTIVE,
    NameTaken,
    PairTaken,
    SessionEvent,
    SessionFilter,
    SessionPage,
    StaleVersion,
)
from telephony.errors import MalformedRequest, StorageUnavailable
from telephony.ids import TenantId
from telephony.numbers import E164

T = TypeVar("T")
_Asked = tuple[TenantId, str, E164]


@dataclass(slots=True)
class Row:
    """A binding as it is kept. LIVE: it lasts as long as its session; freed ones stay as history."""

    number: int
    door: Door
    session: SessionId
    seat: int
    peer: str
    free_at: float | None = None
    freed: bool = False

    @property
    def held(self) -> bool:
        return not self.freed

    @property
    def live(self) -> bool:
        return not self.freed and self.free_at is None


@dataclass(slots=True)
class _Kept:
    session: Session
    told_expiring: bool = False


@dataclass(slots=True, eq=False)
class MemoryLedger:
    """Fits ``proxy_pool.ports.Ledger``. Numbers are checked against the pool once a MemoryPoolBook has it.

    While ``away`` is true everything raises StorageUnavailable and changes nothing. ``told``: what the world
    heard.
    """

    away: bool = False
    told: list[tuple[Session, SessionEvent]] = field(default_factory=list)
    numbers: list[PoolNumber] | None = None
    rows: list[Row] = field(default_factory=list)
    _sessions: dict[SessionId, _Kept] = field(default_factory=dict)
    _holders: dict[_Asked, Row] = field(default_factory=dict)
    _own: dict[SessionId, list[Row]] = field(default_factory=dict)

    # ------------------------------------------------------------ changes

    async def open(
        self, session: Session, bindings: Sequence[Binding], events: Sequence[SessionEvent]
    ) -> None:
        self._answer()
        if session.id in self._sessions:
            return
        self._check_name(session)
        yielding = self._make_room(session, bindings, session.created_at)
        self._sessions[session.id] = _Kept(session)
        self._add(session, bindings, yielding)
        self._tell(session, events)

    async def change(
        self, after: Session, bindings: Sequence[Binding], free_at: float, events: Sequence[SessionEvent]
    ) -> Sequence[Binding]:
        self._answer()
        kept = self._open_one(after.tenant, after.id)
        if kept is None or not follows(after, kept.session):
            raise StaleVersion
        if after.unique_name != kept.session.unique_name:
            self._check_name(after)
        wanted = {binding.door: binding for binding in bindings}
        mine = {row.door: row for row in self._own[after.id] if row.live}
        fresh = [binding for binding in bindings if binding.door not in mine]
        at = events[0].at if events else after.created_at
        yielding = self._make_room(after, fresh, at)
        gone = [row for door, row in mine.items() if door not in wanted]
        before = kept.session
        kept.session = replace(after, status=before.status)
        kept.told_expiring &= after.ends_at <= before.ends_at
        for row in gone:
            row.free_at = free_at if after.free_at is None else after.free_at
        for door in mine.keys() & wanted.keys():
            mine[door].seat, mine[door].peer = wanted[door].entry.seat, wanted[door].peer
        self._add(after, fresh, yielding)
        self._tell(kept.session, events)
        return [self._binding(row) for row in gone]

    async def close(
        self,
        tenant: TenantId,
        session_id: SessionId,
        reason: CloseReason,
        at: float,
        free_at: float,
        events: Sequence[SessionEvent],
    ) -> tuple[Session, Sequence[Binding]] | None:
        self._answer()
        kept = self._open_one(tenant, session_id)
        if kept is None or not may_close(kept.session, reason, at):
            return None
        kept.session = closed(kept.session, reason, at, free_at)
        gone = [row for row in self._own[session_id] if row.live]
        for row in gone:
            row.free_at = free_at
        self._tell(kept.session, events)
        return kept.session, [self._binding(row) for row in gone]

    async def use(
        self, tenant: TenantId, session_id: SessionId, seat: int, at: float, ends_at: float
    ) -> Session | None:
        self._answer()
        kept = self._open_one(tenant, session_id)
        after = None if kept is None else noted(kept.session, seat, at, ends_at)
        if kept is None or after is None:
            return None
        first = kept.session.status is Status.OPEN
        kept.told_expiring &= after.ends_at <= kept.session.ends_at
        kept.session = after
        if first:
            self._tell(kept.session, [SessionEvent(IN_PROGRESS, at)])
        return kept.session

    async def told_expiring(self, session: Session, events: Sequence[SessionEvent]) -> None:
        self._answer()
        kept = self._open_one(session.tenant, session.id)
        if kept is None or kept.told_expiring or kept.session.ends_at != session.ends_at:
            return
        kept.told_expiring = True
        kept.session = replace(kept.session, version=kept.session.version + bool(events))
        self._tell(kept.session, events)

    async def sweep(self, now: float, limit: int) -> Sequence[Binding]:
        self._answer()
        held = self._holders.values()
        over = [row for row in held if row.free_at is not None and row.free_at <= now]
        over.sort(key=lambda row: row.free_at or 0.0)
        for row in over[:limit]:
            self._free(row)
        return [self._binding(row) for row in over[:limit]]

    # ------------------------------------------------------------ questions

    async def get(self, tenant: TenantId, session_id: SessionId) -> Session | None:
        self._answer()
        kept = self._sessions.get(session_id)
        return None if kept is None or kept.session.tenant != tenant else kept.session

    async def bindings_of(self, tenant: TenantId, session_id: SessionId) -> Sequence[Binding]:
        self._answer()
        mine = (row for row in self._own.get(session_id, ()) if row.held)
        return [self._binding(row) for row in mine if row.door.tenant == tenant]

    async def page(
        self, tenant: TenantId, wanted: SessionFilter, *, limit: int, cursor: str | None = None
    ) -> SessionPage:
        self._answer()
        found = [
            (number, kept.session)
            for number, kept in enumerate(self._sessions.values())
            if kept.session.tenant == tenant and self._fits(kept.session, wanted)
        ]
        found.sort(key=lambda one: (one[1].created_at, one[0]), reverse=True)
        items, more = cut([session for _, session in found], limit, cursor)
        return SessionPage(tuple(items), more, len(found))

    async def resolve(self, tenant: TenantId, key: str, proxy: E164, now: float) -> Binding | None:
        self._answer()
        row = self._holder(tenant, key, proxy)
        if row is None or (row.free_at is not None and row.free_at <= now):
            return None
        return self._binding(row)

    async def held(self, tenant: TenantId, key: str, now: float) -> frozenset[int]:
        self._answer()
        held = self._holders.values()
        mine = (row for row in held if (row.door.tenant, row.door.key) == (tenant, key))
        return frozenset(row.door.index for row in mine if row.free_at is None or row.free_at > now)

    async def last_of_pair(self, tenant: TenantId, key: str, peer: str) -> tuple[E164, E164] | None:
        self._answer()
        for mine in reversed(self.rows):
            if (mine.door.tenant, mine.door.key, mine.peer) == (tenant, key, peer):
                for other in self._own[mine.session]:
                    if (other.door.key, other.peer) == (peer, key):
                        return mine.door.proxy, other.door.proxy
        return None

    async def due(self, now: float, limit: int) -> Sequence[Session]:
        self._answer()
        return self._ending(lambda kept: kept.session.ends_at <= now)[:limit]

    async def expiring(self, now: float, within_s: float, limit: int) -> Sequence[Session]:
        self._answer()
        return self._ending(
            lambda kept: not kept.told_expiring and now < kept.session.ends_at <= now + within_s
        )[:limit]

    async def all_held(self, after: int, limit: int) -> Sequence[tuple[int, Binding]]:
        self._answer()
        behind = [row for row in self.rows if row.held and row.number > after]
        return [(row.number, self._binding(row)) for row in behind[:limit]]

    async def all_open(self, after: int, limit: int) -> Sequence[tuple[int, Session]]:
        self._answer()
        numbered = enumerate((kept.session for kept in self._sessions.values()), start=1)
        return [(number, one) for number, one in numbered if number > after and one.live][:limit]

    # ------------------------------------------------------------ within

    def _answer(self) -> None:
        if self.away:
            raise StorageUnavailable

    def _tell(self, session: Session, events: Iterable[SessionEvent]) -> None:
        self.told.extend((session, event) for event in events)

    def _open_one(self, tenant: TenantId, session_id: SessionId) -> _Kept | None:
        kept = self._sessions.get(session_id)
        return kept if kept is not None and kept.session.tenant == tenant and kept.session.live else None

    def _check_name(self, session: Session) -> None:
        wanted = (session.tenant, session.unique_name)
        others = (kept.session for kept in self._sessions.values()) if session.unique_name else ()
        if any(other.live and (other.tenant, other.unique_name) == wanted for other in others):
            raise NameTaken

    def _make_room(self, session: Session, bindings: Sequence[Binding], at: float) -> list[Row]:
        """The quarantined ones that give way to these. Raises Conflict, PairTaken; changes nothing."""
        yielding = []
        for binding in sorted(bindings, key=lambda one: (one.door.key, one.door.proxy)):
            self._check_number(session, binding.door)
            holder = self._holder(session.tenant, binding.door.key, binding.door.proxy)
            if holder is None:
                continue
            if not gives_way(self._binding(holder), binding, at):
                raise PairTaken(self._binding(holder))
            yielding.append(holder)
        return yielding

    def _check_number(self, session: Session, door: Door) -> None:
        if self.numbers is None:
            return
        wanted = (session.tenant, door.proxy, door.index, USE_OF[session.model])
        if wanted not in {(one.tenant, one.number, one.index, one.use) for one in self.numbers}:
            raise not_in_pool(door)

    def _add(self, session: Session, bindings: Iterable[Binding], yielding: Iterable[Row]) -> None:
        for row in yielding:
            self._free(row)
        mine = self._own.setdefault(session.id, [])
        for one in sorted(bindings, key=lambda one: (one.door.key, one.door.proxy)):
            row = Row(len(self.rows) + 1, one.door, session.id, one.entry.seat, one.peer)
            self.rows.append(row)
            mine.append(row)
            self._holders[_asked(one.door)] = row

    def _free(self, row: Row) -> None:
        row.freed = True
        del self._holders[_asked(row.door)]

    def _holder(self, tenant: TenantId, key: str, proxy: E164) -> Row | None:
        return self._holders.get((tenant, key, proxy))

    def opened_since(self, tenant: TenantId, since: float) -> int:
        """How many sessions of a tenant were opened since then."""
        sessions = (kept.session for kept in self._sessions.values())
        return sum(one.tenant == tenant and one.created_at >= since for one in sessions)

    def _binding(self, row: Row) -> Binding:
        session = self._sessions[row.session].session
        hold = Hold.LIVE if row.free_at is None else Hold.QUARANTINED
        until = session.ends_at if row.free_at is None else row.free_at
        return Binding(row.door, Entry(row.session, row.seat, hold, until, session.version), row.peer)

    def _ending(self, fits: Callable[[_Kept], bool]) -> list[Session]:
        found = [kept.session for kept in self._sessions.values() if kept.session.live and fits(kept)]
        return sorted(found, key=lambda session: session.ends_at)

    def _fits(self, session: Session, wanted: SessionFilter) -> bool:
        if wanted.status == ACTIVE and not session.live:
            return False
        if wanted.status not in (None, ACTIVE, session.status):
            return False
        if wanted.unique_name is not None and session.unique_name != wanted.unique_name:
            return False
        return wanted.party is None or wanted.party in {key_of(one.party) for one in session.participants}


def _asked(door: Door) -> _Asked:
    return door.tenant, door.key, door.proxy


def cut(items: Sequence[T], limit: int, cursor: str | None) -> tuple[Sequence[T], str | None]:
    """One page of a list, and the cursor of the next. Raises MalformedRequest (INVALID_CURSOR)."""
    start = 0
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit()):
            raise MalformedRequest("the cursor does not belong to this list", code="INVALID_CURSOR")
        start = int(cursor)
    return items[start : start + limit], str(start + limit) if start + limit < len(items) else None
