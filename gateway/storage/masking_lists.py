"""Lists of masking sessions, newest first.

The index has a tenant's sessions by status and then by time, so a list of all of them is three lists put
together: none reads more rows than a page shows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

from sqlalchemy import Connection

from gateway.storage.cursors import Cursors, Position
from gateway.storage.hot import Hot, Values
from gateway.storage.masking_rows import SessionRow
from gateway.storage.masking_statements import SESSIONS
from gateway.storage.paging import scope_of
from proxy_pool.core.party import AGENT
from proxy_pool.core.session import Status
from proxy_pool.ports import ACTIVE, SessionFilter, SessionPage
from telephony.ids import TenantId

_START: Final = Position(2**63 - 1, str(2**63 - 1))
_COUNT: Final = "SELECT count(*) FROM proxy_sessions"
_STATUS: Final = " WHERE tenant_id = :tenant_id AND status = :status"
_NAMED: Final = (
    " WHERE tenant_id = :tenant_id AND unique_name = :unique_name AND unique_name IS NOT NULL"
    " AND (status || '') = :status"
)
_OWN: Final = " WHERE (tenant_id || '') = :tenant_id AND (status || '') = :status"
"""What few have is found first: a status, or the tenant, is hidden from the planner where many have it."""
_PARTY: Final = (
    " AND seq IN (SELECT session_seq FROM proxy_bindings"
    " WHERE tenant_id = :tenant_id AND participant = :party AND hold > 0"
    " UNION SELECT session_seq FROM proxy_bindings"
    " WHERE tenant_id = :tenant_id AND participant = :party AND hold = 0)"
)
_AGENT: Final = " AND CAST(participants AS TEXT) LIKE :seated ESCAPE '!'"
"""An agent has no door, so the sessions themselves are read: newest first, and only those of one status."""
_BEHIND: Final = " AND (created_at, seq) < (:micros, :seq) ORDER BY created_at DESC, seq DESC LIMIT :limit"


def page_of_sessions(
    tenant: TenantId, wanted: SessionFilter, limit: int, cursor: str | None, cursors: Cursors
) -> Callable[[Connection], SessionPage]:
    """The work that reads one page. Raises MalformedRequest (INVALID_CURSOR) here, before any is asked."""
    scope = scope_of("proxy_sessions", tenant, wanted.status, wanted.unique_name, wanted.party)
    after = _START if cursor is None else cursors.open(cursor, scope)
    count, rows_behind = _statements(wanted.unique_name is not None, _kind_of(wanted.party))
    values: Values = {
        "tenant_id": tenant,
        "unique_name": wanted.unique_name,
        "party": wanted.party,
        "seated": f'%"{_literally(wanted.party or "")}"%',
        "micros": after.micros,
        "seq": int(after.id),
        "limit": limit + 1,
    }
    statuses = [one.value for one in Status if wanted.status in (None, one.value, _active(one))]

    def work(conn: Connection) -> SessionPage:
        total = 0
        rows: list[SessionRow] = []
        for status in statuses:
            here = {**values, "status": status}
            total += count.scalar(conn, here)
            rows += map(SessionRow._make, rows_behind.rows(conn, here))
        rows.sort(key=lambda row: (row.created_at, row.seq), reverse=True)
        more = None
        if len(rows) > limit:
            last = rows[limit - 1]
            more = cursors.seal(Position(last.created_at, str(last.seq)), scope)
        return SessionPage(tuple(row.session() for row in rows[:limit]), more, total)

    return work


def _active(status: Status) -> str | None:
    """What a filter says that takes this status among others."""
    return None if status is Status.CLOSED else ACTIVE


def _kind_of(party: str | None) -> Literal["", "caller", "agent"]:
    if party is None:
        return ""
    return "agent" if party.startswith(AGENT) else "caller"


def _literally(text: str) -> str:
    """What LIKE takes for nothing but itself."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


@lru_cache(maxsize=6)
def _statements(named: bool, party: Literal["", "caller", "agent"]) -> tuple[Hot, Hot]:
    """Counting and reading one status, with these further conditions."""
    where = _NAMED if named else _OWN if party == "caller" else _STATUS
    where += {"": "", "caller": _PARTY, "agent": _AGENT}[party]
    return Hot(_COUNT + where), Hot(SESSIONS + where + _BEHIND)
