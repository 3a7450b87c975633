"""Interactions in SQL. Fits ``proxy_pool.ports.InteractionBook``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping

from gateway.storage.columns import seconds_to_micros
from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.hot import Found, Hot
from gateway.storage.jsontext import json_list, to_json
from gateway.storage.masking_events import MaskingTold, NobodyTold
from gateway.storage.masking_rows import Row, micros
from gateway.storage.paging import Wanted, page_reader, scope_of
from gateway.storage.tables_masking import PROXY_INTERACTIONS as T
from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.session import SessionId
from proxy_pool.ports import SessionEvent
from telephony.ids import TenantId
from telephony.numbers import E164

_KEEP: Final = Hot(
    "INSERT INTO proxy_interactions AS kept (id, tenant_id, session_id, kind, from_seat, to_seat, proxy,"
    " subject, status, created_at, answered_at, ended_at, duration_s, outcome, segments, flags, body, media,"
    " sequence, forgotten)"
    " VALUES (:id, :tenant_id, :session_id, :kind, :from_seat, :to_seat, :proxy, :subject, :status,"
    " :created_at, :answered_at, :ended_at, :duration_s, :outcome, :segments, :flags, :body, :media,"
    " :sequence, false)"
    " ON CONFLICT (id) DO UPDATE SET from_seat = excluded.from_seat, to_seat = excluded.to_seat,"
    " status = excluded.status, answered_at = excluded.answered_at, ended_at = excluded.ended_at,"
    " duration_s = excluded.duration_s, outcome = excluded.outcome, segments = excluded.segments,"
    " flags = excluded.flags, body = excluded.body, media = excluded.media, sequence = excluded.sequence"
    " WHERE kept.sequence < excluded.sequence AND kept.forgotten = false"
    " AND kept.tenant_id = excluded.tenant_id"
)
"""No row changed: it is stored as it is now or later, or was forgotten."""
_FORGET: Final = Hot(
    "UPDATE proxy_interactions SET forgotten = true, subject = '', outcome = '', body = '', flags = NULL,"
    " proxy = '', media = 0 WHERE id = :id AND tenant_id = :tenant_id AND forgotten = false"
)
_GET: Final = Hot(
    "SELECT id, tenant_id, session_id, kind, from_seat, to_seat, proxy, subject, status, created_at,"
    " answered_at, ended_at, duration_s, outcome, segments, flags, body, media, sequence"
    " FROM proxy_interactions WHERE id = :id AND tenant_id = :tenant_id AND forgotten = false"
)
_IS_KNOWN: Final = Hot("SELECT 1 FROM proxy_interactions WHERE id = :id")
_URL: Final = Hot("SELECT webhook_url FROM proxy_sessions WHERE id = :session_id AND tenant_id = :tenant_id")


class SqlInteractions:
    """Forgotten ones are emptied and never come back, whatever is told of them later."""

    def __init__(self, database: Database, cursors: Cursors, told: MaskingTold | None = None) -> None:
        self._database = database
        self._cursors = cursors
        self._told = told or NobodyTold()

    async def keep(self, interaction: Interaction, events: Sequence[SessionEvent]) -> None:
        self._told.committed(await self._database.write(lambda conn: self.keep_in(conn, interaction, events)))

    def keep_in(
        self, conn: Connection, interaction: Interaction, events: Sequence[SessionEvent]
    ) -> Sequence[str]:
        """The same within somebody's transaction: what ``MaskingTold.committed`` wants to know after it."""
        row = _row(interaction)
        if not _KEEP.run(conn, row) or not events:
            return ()
        return self._told.interaction(conn, interaction, events, _URL.scalar(conn, row))

    def is_known_in(self, conn: Connection, interaction_id: InteractionId) -> bool:
        """Whether it was stored before, as seen from within somebody's transaction."""
        return _IS_KNOWN.scalar(conn, {"id": interaction_id}) is not None

    async def get(self, tenant: TenantId, interaction_id: str) -> Interaction | None:
        return await self._database.read(lambda conn: self.get_in(conn, tenant, interaction_id))

    def get_in(self, conn: Connection, tenant: TenantId, interaction_id: str) -> Interaction | None:
        """The same within somebody's transaction."""
        rows = _GET.rows(conn, {"id": interaction_id, "tenant_id": tenant})
        return _found(rows[0]) if rows else None

    async def page(
        self, tenant: TenantId, session_id: SessionId, *, limit: int, cursor: str | None = None
    ) -> tuple[Sequence[Interaction], str | None, int]:
        """Newest first. Raises MalformedRequest (INVALID_CURSOR)."""
        where = [T.c.tenant_id == tenant, T.c.session_id == session_id, ~T.c.forgotten]
        wanted = Wanted(scope_of("proxy_interactions", tenant, session_id), where, limit, cursor)
        page = await self._database.read(page_reader(T, wanted, self._cursors, _interaction))
        return page.items, page.cursor, page.total

    async def forget(self, tenant: TenantId, interaction_id: str) -> bool:
        wanted = {"id": interaction_id, "tenant_id": tenant}
        return bool(await self._database.write(lambda conn: _FORGET.run(conn, wanted)))


def _row(one: Interaction) -> Row:
    return {
        "id": one.id,
        "tenant_id": one.tenant,
        "session_id": one.session,
        "kind": one.kind.value,
        "from_seat": one.from_seat,
        "to_seat": one.to_seat,
        "proxy": one.proxy.reveal(),
        "subject": one.subject,
        "status": one.status,
        "created_at": seconds_to_micros(one.created_at),
        "answered_at": micros(one.answered_at),
        "ended_at": micros(one.ended_at),
        "duration_s": one.duration_s,
        "outcome": one.outcome,
        "segments": one.segments,
        "flags": to_json(one.flags) if one.flags else None,
        "body": one.body,
        "media": one.media,
        "sequence": one.sequence,
    }


def _found(row: Found) -> Interaction:
    """A row of ``_GET``."""
    id_, tenant, session, kind, from_seat, to_seat, proxy, subject, status, *rest = row
    created, answered, ended, duration_s, outcome, segments, flags, body, media, sequence = rest
    return Interaction(
        id=InteractionId(id_),
        tenant=TenantId(tenant),
        session=SessionId(session),
        kind=Kind(kind),
        from_seat=from_seat,
        to_seat=to_seat,
        proxy=E164(proxy),
        subject=subject,
        status=status,
        created_at=created / 1_000_000,
        answered_at=None if answered is None else answered / 1_000_000,
        ended_at=None if ended is None else ended / 1_000_000,
        duration_s=duration_s,
        outcome=outcome,
        segments=segments,
        flags=tuple(json_list(flags)),
        body=body,
        media=media,
        sequence=sequence,
    )


def _interaction(row: RowMapping) -> Interaction:
    return Interaction(
        id=InteractionId(row["id"]),
        tenant=TenantId(row["tenant_id"]),
        session=SessionId(row["session_id"]),
        kind=Kind(row["kind"]),
        from_seat=row["from_seat"],
        to_seat=row["to_seat"],
        proxy=E164(row["proxy"]),
        subject=row["subject"],
        status=row["status"],
        created_at=row["created_at"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        duration_s=row["duration_s"],
        outcome=row["outcome"],
        segments=row["segments"],
        flags=tuple(row["flags"] or ()),
        body=row["body"],
        media=row["media"],
        sequence=row["sequence"],
    )
