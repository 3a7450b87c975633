"""Calls: the durable truth behind ``dialplan.ports.CallStore``, and what the API lists and shows.

One ``append`` is one transaction: the call's row and snapshot, its new events, the recordings and
webhook deliveries that follow from them, and the CDR with the seconds it adds to the day's usage.
A call's row holds the sequence of its last event, so an append that comes twice, or late, is known by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Connection, bindparam, or_, select

from dialplan.core.call import Call, Direction
from dialplan.core.record import CallEvent, CallRecord, Cdr, record
from dialplan.core.snapshot import decode
from gateway.storage.call_rows import (
    cdr_row,
    event_row,
    state_row,
    terms_row,
    to_record,
    to_timeline_entry,
)
from gateway.storage.call_statements import ADD, ADD_CDR, ADD_EVENT, CHANGE, CHANGE_TERMS, KNOWN
from gateway.storage.columns import seconds_to_micros
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.paging import Wanted, page_reader, scope_of
from gateway.storage.recordings import fold_recordings
from gateway.storage.records import CallFilter, Page, TimelineEntry
from gateway.storage.statements import first
from gateway.storage.tables import CALL_EVENTS, CALLS, CDRS
from gateway.storage.usage import add_in
from telephony.ids import CallId, TenantId


class Announcer(Protocol):
    """Tells the world what happened to a call.

    ``announce`` stores, inside the transaction it is given, what these new events have to set going
    (webhook deliveries) and returns what ``committed`` wants to know once they are durable.
    """

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]: ...

    def committed(self, announced: Sequence[str]) -> None: ...


class Announcers:
    """Several announcers as one. Each hears what it announced itself, once that is durable."""

    def __init__(self, announcers: Sequence[Announcer]) -> None:
        self._announcers = tuple(announcers)

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
        return [
            f"{place}:{told}"
            for place, announcer in enumerate(self._announcers)
            for told in announcer.announce(conn, events)
        ]

    def committed(self, announced: Sequence[str]) -> None:
        for place, announcer in enumerate(self._announcers):
            own = [told for at, _, told in (one.partition(":") for one in announced) if at == str(place)]
            if own:
                announcer.committed(own)


class Nobody:
    """The announcer of a store without webhooks."""

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
        return ()

    def committed(self, announced: Sequence[str]) -> None:
        """Nobody was told."""


_GET: Final = select(CALLS).where(CALLS.c.id == bindparam("call"), CALLS.c.tenant_id == bindparam("tenant"))
_OPEN: Final = select(CALLS.c.snapshot).where(CALLS.c.snapshot.is_not(None)).order_by(CALLS.c.id)


class CallRepository:
    """Every query but ``open_calls`` carries the tenant: another tenant's call is not there."""

    def __init__(self, database: Database, cursors: Cursors, announcer: Announcer | None = None) -> None:
        self._database = database
        self._cursors = cursors
        self._announcer = announcer or Nobody()

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None:
        """See ``dialplan.ports.CallStore``. Raises StorageUnavailable; nothing is half-written."""
        known_as = events[-1].call if events else record(call)
        state = state_row(call, known_as)

        def work(conn: Connection) -> Sequence[str]:
            known = KNOWN.scalar(conn, state)
            if known is None:
                ADD.run(conn, terms_row(known_as) | state)
            elif known > call.sequence:
                return ()
            else:
                CHANGE.run(conn, state)
                if call.detours:
                    CHANGE_TERMS.run(conn, terms_row(known_as))
            fresh = [event for event in events if event.sequence > (known or 0)]
            announced: Sequence[str] = ()
            if fresh:
                ADD_EVENT.run_each(conn, [event_row(event) for event in fresh])
                fold_recordings(conn, call, fresh)
                announced = self._announcer.announce(conn, fresh)
            if cdr is not None:
                _close(conn, cdr)
            return announced

        announced = await self._database.write(work, patient=patient)
        if announced:
            self._announcer.committed(announced)

    async def open_calls(self) -> tuple[Call, ...]:
        """Every call that is not settled, of all tenants. Raises ValueError on another release's snapshot."""
        rows = await self._database.read(lambda conn: conn.execute(_OPEN).scalars().all())
        return tuple(decode(snapshot) for snapshot in rows)

    async def get(self, tenant: TenantId, call_id: CallId) -> CallRecord | None:
        wanted = {"call": call_id, "tenant": tenant}
        row = await self._database.read(lambda conn: conn.execute(_GET, wanted).mappings().first())
        return None if row is None else to_record(row)

    async def is_on_record(self, tenant: TenantId, call_id: CallId) -> bool:
        """Whether this call was ever stored."""
        return await self.get(tenant, call_id) is not None

    async def page(
        self, tenant: TenantId, wanted: CallFilter, *, limit: int, cursor: str | None = None
    ) -> Page[CallRecord]:
        """Newest first. Raises MalformedRequest (INVALID_CURSOR), also for a cursor of another filter."""
        scope = scope_of("calls", tenant, *_parts(wanted))
        page = Wanted(scope, [CALLS.c.tenant_id == tenant, *_conditions(wanted)], limit, cursor)
        return await self._database.read(page_reader(CALLS, page, self._cursors, to_record))

    async def events(self, tenant: TenantId, call_id: CallId) -> tuple[TimelineEntry, ...] | None:
        """The call's timeline in order, or None when the tenant has no such call."""
        mine = (CALL_EVENTS.c.call_id == call_id, CALL_EVENTS.c.tenant_id == tenant)
        query = select(CALL_EVENTS).where(*mine).order_by(CALL_EVENTS.c.sequence)
        rows = await self._database.read(lambda conn: conn.execute(query).mappings().all())
        if not rows and await self.get(tenant, call_id) is None:
            return None
        return tuple(to_timeline_entry(row) for row in rows)

    async def cdr(self, tenant: TenantId, call_id: CallId) -> Mapping[str, Any] | None:
        """The CDR as stored: the shown call and what was folded from its facts. None while the call lives."""
        query = select(CDRS.c.body).where(CDRS.c.call_id == call_id, CDRS.c.tenant_id == tenant)
        row = await self._database.read(lambda conn: first(conn, query))
        return None if row is None else dict(row["body"])


def _close(conn: Connection, cdr: Cdr) -> None:
    """The first CDR of a call counts, and only with it the usage."""
    if not ADD_CDR.run(conn, cdr_row(cdr)):
        return
    known = cdr.call
    if known.direction is Direction.OUTBOUND and known.duration_s and known.ended_at is not None:
        add_in(conn, known.tenant, datetime.fromtimestamp(known.ended_at, UTC).date(), known.duration_s)


def _parts(wanted: CallFilter) -> tuple[str | int | None, ...]:
    after, before = wanted.created_after, wanted.created_before
    return (
        wanted.status,
        wanted.to_number,
        wanted.from_number,
        None if after is None else seconds_to_micros(after),
        None if before is None else seconds_to_micros(before),
        *(("blind",) if wanted.blind else ()),
    )


def _found_by(real: Direction, wanted: CallFilter) -> list[ColumnElement[bool]]:
    """A private call of this direction has a real number at the end that is asked for."""
    return [or_(CALLS.c.private.is_(False), CALLS.c.direction != real.value)] if wanted.blind else []


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        conditions.append(CALLS.c.status == wanted.status)
    if wanted.to_number is not None:
        conditions.append(CALLS.c.to_number == wanted.to_number)
        conditions += _found_by(Direction.OUTBOUND, wanted)
    if wanted.from_number is not None:
        conditions.append(CALLS.c.from_number == wanted.from_number)
        conditions += _found_by(Direction.INBOUND, wanted)
    if wanted.created_after is not None:
        conditions.append(CALLS.c.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(CALLS.c.created_at < wanted.created_before)
    return conditions
