"""The statements of the masking ledger. What must find a partial index spells its condition out."""

from __future__ import annotations

from typing import Final

from gateway.storage.hot import Hot
from gateway.storage.masking_rows import BINDING_COLUMNS, SESSION_COLUMNS

SESSIONS: Final = f"SELECT {SESSION_COLUMNS} FROM proxy_sessions"  # noqa: S608 # why: names of columns
_SESSION: Final = SESSIONS + " WHERE id = :id AND tenant_id = :tenant_id"
_HELD_BY: Final = "FROM proxy_bindings b JOIN proxy_sessions s ON s.seq = b.session_seq"
_BINDING: Final = f"SELECT {BINDING_COLUMNS} {_HELD_BY}"  # why: names of columns
_BEHIND: Final = (
    _BINDING + " WHERE b.tenant_id = :tenant_id AND b.participant = :participant AND b.proxy = :proxy"
    " AND b.hold > 0"
)

ADD_SESSION: Final = Hot(
    "INSERT INTO proxy_sessions (id, tenant_id, model, status, participants, terms, metadata, extension,"
    " unique_name, webhook_url, api_key_id, created_at, ends_at, last_used_at, last_seat, closed_at,"
    " close_reason, free_at, version, interactions, told_expiring)"
    " VALUES (:id, :tenant_id, :model, :status, :participants, :terms, :metadata, :extension,"
    " :unique_name, :webhook_url, :api_key_id, :created_at, :ends_at, :last_used_at, :last_seat, :closed_at,"
    " :close_reason, :free_at, :version, :interactions, false)"
    " ON CONFLICT DO NOTHING RETURNING seq"
)
"""No row: its id, or its unique name, is there already."""
GET: Final = Hot(_SESSION)
ALL_OPEN: Final = Hot(SESSIONS + " WHERE status <> 'closed' AND seq > :after ORDER BY seq LIMIT :limit")
LOCK: Final = Hot(_SESSION, postgres=" FOR UPDATE")
IS_THERE: Final = Hot("SELECT 1 FROM proxy_sessions WHERE id = :id")
NAMED: Final = Hot(
    "SELECT 1 FROM proxy_sessions WHERE tenant_id = :tenant_id AND unique_name = :unique_name"
    " AND status <> 'closed' AND unique_name IS NOT NULL AND id <> :id"
)
CHANGE: Final = Hot(
    "UPDATE proxy_sessions SET participants = :participants, terms = :terms, metadata = :metadata,"
    " extension = :extension, unique_name = :unique_name, webhook_url = :webhook_url, ends_at = :ends_at,"
    " last_seat = :last_seat, free_at = :free_at, version = :version,"
    " told_expiring = (told_expiring AND ends_at >= :ends_at) WHERE seq = :seq"
)
CLOSE: Final = Hot(
    "UPDATE proxy_sessions SET status = :status, closed_at = :closed_at, close_reason = :close_reason,"
    " free_at = :free_at, version = :version WHERE seq = :seq"
)
USE: Final = Hot(
    "UPDATE proxy_sessions SET status = :status, last_used_at = :last_used_at, last_seat = :last_seat,"
    " told_expiring = (told_expiring AND ends_at >= :ends_at), ends_at = :ends_at, version = :version,"
    " interactions = :interactions WHERE seq = :seq"
)
TOLD: Final = Hot("UPDATE proxy_sessions SET told_expiring = true, version = :version WHERE seq = :seq")
_ENDING: Final = (
    " AND status <> 'closed' AND ends_at > :after AND ends_at <= :before ORDER BY ends_at LIMIT :limit"
)
UNTOLD: Final = Hot(SESSIONS + " WHERE told_expiring = false" + _ENDING)
"""Open sessions that end in a span of time and whose coming end was not told."""
TOLD_OF: Final = Hot(SESSIONS + " WHERE told_expiring = true" + _ENDING)

_ADD_BINDING: Final = (
    "INSERT INTO proxy_bindings"
    " (tenant_id, participant, proxy, number_index, session_seq, seat, hold, peer)"
    " SELECT n.tenant_id, CAST(:participant AS VARCHAR), n.e164, n.number_index,"
    " CAST(:session_seq AS BIGINT), CAST(:seat AS SMALLINT), 1, CAST(:peer AS VARCHAR)"
    " FROM proxy_numbers n WHERE n.e164 = :proxy AND n.removed = false AND n.tenant_id = :tenant_id"
    " AND n.number_index = :number_index AND n.use = :use"
)
_UNLESS_HELD: Final = " ON CONFLICT (tenant_id, participant, proxy) WHERE hold > 0 DO NOTHING"
ADD_BINDING: Final = {
    "sqlite": Hot(_ADD_BINDING + _UNLESS_HELD),
    "postgresql": Hot(_ADD_BINDING + " FOR SHARE OF n" + _UNLESS_HELD),
}
"""Adds a live binding on an active number of the pool; no row: it is not that, or the door is held.

The number stays locked to the end of the transaction, so that it cannot leave the pool in between.
"""
POOLED: Final = Hot(
    "SELECT 1 FROM proxy_numbers n WHERE n.e164 = :proxy AND n.removed = false AND n.tenant_id = :tenant_id"
    " AND n.number_index = :number_index AND n.use = :use"
)
RESOLVE: Final = Hot(_BEHIND)
HOLDER: Final = Hot(_BEHIND, postgres=" FOR UPDATE OF b")
OWN: Final = Hot(
    _BINDING + " WHERE b.session_seq = :session_seq AND b.hold > 0 ORDER BY b.seq",
    postgres=" FOR UPDATE OF b",
)
BINDINGS_OF: Final = Hot(
    _BINDING + " WHERE s.id = :id AND s.tenant_id = :tenant_id AND b.hold > 0 ORDER BY b.seq"
)
QUARANTINE: Final = Hot("UPDATE proxy_bindings SET hold = 2, until = :until WHERE seq = :seq")
RESEAT: Final = Hot("UPDATE proxy_bindings SET seat = :seat, peer = :peer WHERE seq = :seq")
FREE: Final = Hot("UPDATE proxy_bindings SET hold = 0, until = :until WHERE seq = :seq")
OVER: Final = Hot(
    _BINDING + " WHERE b.hold = 2 AND b.until <= :now ORDER BY b.until LIMIT :limit",
    postgres=" FOR UPDATE OF b SKIP LOCKED",
)
FORGET: Final = Hot(
    "DELETE FROM proxy_bindings WHERE seq IN"
    " (SELECT seq FROM proxy_bindings WHERE hold = 0 AND until <= :now ORDER BY until LIMIT :limit)"
)
HELD: Final = Hot(
    "SELECT number_index FROM proxy_bindings WHERE tenant_id = :tenant_id AND participant = :participant"
    " AND hold > 0 AND (hold = 1 OR until > :now)"
)
ALL_HELD: Final = Hot(_BINDING + " WHERE b.seq > :after AND b.hold > 0 ORDER BY b.seq LIMIT :limit")

_PAIR: Final = (
    "SELECT b.seq, b.proxy, o.proxy FROM proxy_bindings b JOIN proxy_bindings o"
    " ON o.session_seq = b.session_seq AND o.participant = b.peer AND o.peer = b.participant"
    " WHERE b.tenant_id = :tenant_id AND b.participant = :participant AND b.peer = :peer"
)
_LAST: Final = " ORDER BY b.seq DESC LIMIT 1"
LAST_OF_PAIR: Final = (
    Hot(_PAIR + " AND b.hold > 0" + _LAST),
    Hot(_PAIR + " AND b.hold = 0" + _LAST),
)
"""What the two have or had, held and freed: each is found by its own index."""
