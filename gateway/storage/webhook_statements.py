"""The statements that keep the outbox, run for every event of every call. Moments are microseconds."""

from __future__ import annotations

from typing import Final

from gateway.storage.hot import Hot

KEEP_EVENT: Final = Hot(
    "INSERT INTO webhook_events (id, tenant_id, type, subject, sequence, created_at, body)"
    " VALUES (:id, :tenant_id, :type, :subject, :sequence, :created_at, :body)"
    " ON CONFLICT (id) DO NOTHING"
)
ADD_DELIVERY: Final = Hot(
    "INSERT INTO webhook_deliveries (id, tenant_id, event_id, endpoint_id, lane, url, subject, sequence,"
    " status, claimed, attempts, next_at, created_at, last_note, last_excerpt)"
    " VALUES (:id, :tenant_id, :event_id, :endpoint_id, :lane, :url, :subject, :sequence,"
    " 'pending', false, 0, :now, :now, '', '')"
)
DUE: Final = Hot(
    "SELECT d.id, d.tenant_id, d.event_id, d.endpoint_id, d.lane, d.url, d.subject, d.sequence, d.attempts,"
    " d.created_at, v.body, e.active AS endpoint_active, e.url AS endpoint_url,"
    " coalesce(e.secret, s.secret) AS secret,"
    " CASE WHEN e.id IS NULL THEN s.previous_secret ELSE e.previous_secret END AS previous_secret,"
    " CASE WHEN e.id IS NULL THEN s.previous_until ELSE e.previous_until END AS previous_until"
    " FROM webhook_deliveries d"
    " JOIN webhook_events v ON v.id = d.event_id"
    " LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id"
    " LEFT JOIN webhook_tenant_secrets s ON s.tenant_id = d.tenant_id"
    " WHERE d.status = 'pending' AND d.lane = :lane AND d.next_at <= :now"
    " ORDER BY d.next_at, d.sequence LIMIT :room",
    postgres=" FOR UPDATE OF d SKIP LOCKED",
)
"""``status`` is spelled out, not given as a value: only so does a planner see that the partial index fits."""
CLAIM: Final = Hot("UPDATE webhook_deliveries SET claimed = true, next_at = :until WHERE id = :id")

_TRIED: Final = (
    "UPDATE webhook_deliveries SET claimed = false, attempts = attempts + 1, last_at = :at,"
    " last_status = :code, last_note = :note, last_excerpt = :excerpt, took_ms = :took"
)
MARK: Final = {
    "delivered": Hot(
        _TRIED + ", status = 'delivered', delivered_at = :at WHERE id = :id AND status <> 'delivered'"
    ),
    "retry": Hot(_TRIED + ", next_at = :again WHERE id = :id AND status = 'pending'"),
    "dead": Hot(_TRIED + ", status = 'dead' WHERE id = :id AND status = 'pending'"),
    "returned": Hot(
        "UPDATE webhook_deliveries SET claimed = false, next_at = :at"
        " WHERE id = :id AND status = 'pending' AND claimed"
    ),
}
"""What an outcome writes. A delivery that succeeded after all is delivered, whatever was thought before."""
WELL: Final = Hot(
    "UPDATE webhook_endpoints SET failing_since = NULL WHERE id = :id AND failing_since IS NOT NULL"
)
"""An endpoint answered: its past failures no longer count."""
