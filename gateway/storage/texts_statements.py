"""The statements of texts. What must find a partial index spells its condition out; moments are micros."""

from __future__ import annotations

from typing import Final

from gateway.storage.hot import Hot

ADD_IN: Final = Hot(
    "INSERT INTO texts_in (id, carrier, message_id, sender, recipient, body, media, opt_out, sent_at,"
    " taken_at, part_reference, part_total, part_number, mark, state, outcome, next_at, claim)"
    " VALUES (:id, :carrier, :message_id, :sender, :recipient, :body, :media, :opt_out, :sent_at, :taken_at,"
    " :part_reference, :part_total, :part_number, :mark, :state, '', :next_at, 0)"
    " ON CONFLICT (carrier, message_id) DO NOTHING"
)
KNOWN_IN: Final = Hot("SELECT id, state FROM texts_in WHERE carrier = :carrier AND message_id = :message_id")
DUE_IN: Final = Hot(
    "SELECT t.id, t.carrier, t.message_id, t.sender, t.recipient, t.body, t.media, t.opt_out, t.sent_at,"
    " t.taken_at, t.missing, t.claim FROM texts_in t WHERE t.state = 'waiting' AND t.next_at <= :now"
    " AND NOT EXISTS (SELECT 1 FROM texts_in e WHERE e.state = 'waiting' AND e.recipient = t.recipient"
    " AND e.sender = t.sender AND (e.taken_at < t.taken_at OR (e.taken_at = t.taken_at AND e.id < t.id)))"
    " ORDER BY t.next_at LIMIT :limit",
    postgres=" FOR UPDATE OF t SKIP LOCKED",
)
"""Of each conversation its first waiting text alone, so that texts are judged in the order they came."""
CLAIM_IN: Final = Hot("UPDATE texts_in SET claim = claim + 1, next_at = :until WHERE id = :id")
SETTLE_IN: Final = Hot(
    "UPDATE texts_in SET state = 'done', outcome = :outcome, body = '', media = NULL"
    " WHERE id = :id AND state = 'waiting' AND claim = :claim"
)
PUT_BACK: Final = Hot(
    "UPDATE texts_in SET next_at = :at WHERE id = :id AND state = 'waiting' AND claim = :claim"
)

PIECES: Final = Hot(
    "SELECT id, part_number, body, taken_at, state, mark FROM texts_in WHERE recipient = :recipient"
    " AND sender = :sender AND part_reference = :part_reference AND part_total > 0"
    " AND part_total = :part_total AND carrier = :carrier AND taken_at > :since"
    " AND outcome <> 'repeated'"
)
LOCK_KEY: Final = Hot("SELECT pg_advisory_xact_lock(hashtext(:key))")
"""PostgreSQL only: who takes two parts of one text at the same time must see the other one, and so must who
queues a text for a person and who notes that this person opted out."""
JOIN: Final = Hot(
    "UPDATE texts_in SET state = 'waiting', body = :body, missing = :missing, next_at = :now WHERE id = :id"
)
MERGE: Final = Hot("UPDATE texts_in SET state = 'done', outcome = :outcome, body = '' WHERE id = :id")
WAIT: Final = Hot("UPDATE texts_in SET next_at = :until WHERE id = :id")
OVERDUE: Final = Hot(
    "SELECT DISTINCT carrier, sender, recipient, part_reference, part_total FROM texts_in"
    " WHERE state = 'held' AND next_at <= :now LIMIT 100"
)

STANDING: Final = Hot(
    "SELECT opted_out, helped_at FROM text_standings WHERE tenant_id = :tenant_id"
    " AND participant = :participant"
)
STAND: Final = Hot(
    "INSERT INTO text_standings (tenant_id, participant, opted_out, helped_at, changed_at)"
    " VALUES (:tenant_id, :participant, :opted_out, :helped_at, :now)"
    " ON CONFLICT (tenant_id, participant) DO UPDATE SET opted_out = excluded.opted_out,"
    " helped_at = excluded.helped_at, changed_at = excluded.changed_at"
)
FOR_PERSON: Final = Hot(
    "SELECT id FROM texts_out WHERE state = 'queued' AND tenant_id = :tenant_id AND recipient = :recipient"
    " AND interaction_id <> ''"
)

ADD_OUT: Final = Hot(
    "INSERT INTO texts_out (id, tenant_id, interaction_id, lane, carrier, sender, recipient, body, media,"
    " state, error, provider_id, attempts, queued_at, next_at, expires_at, changed_at, claim)"
    " VALUES (:id, :tenant_id, :interaction_id, :lane, :carrier, :sender, :recipient, :body, :media,"
    " 'queued', '', '', 0, :now, :now, :expires_at, :now, 0) ON CONFLICT (id) DO NOTHING"
)
ADD_MEDIA: Final = Hot(
    "INSERT INTO text_media (id, tenant_id, text_id, file, content_type, size, created_at)"
    " VALUES (:id, :tenant_id, :text_id, :file, :content_type, :size, :now) ON CONFLICT (id) DO NOTHING"
)
LANES: Final = Hot(
    "WITH RECURSIVE lanes(lane) AS (SELECT (SELECT min(lane) FROM texts_out WHERE state = 'queued')"
    " UNION ALL SELECT (SELECT min(lane) FROM texts_out WHERE state = 'queued' AND lane > l.lane)"
    " FROM lanes l WHERE l.lane IS NOT NULL)"
    " SELECT lane FROM lanes l WHERE l.lane IS NOT NULL AND EXISTS (SELECT 1 FROM texts_out d"
    " WHERE d.state = 'queued' AND d.lane = l.lane AND d.next_at <= :now)"
)
"""A skip scan: one step through the index per lane, however long each lane's backlog is."""
DUE_OUT: Final = Hot(
    "SELECT t.id, t.tenant_id, t.recipient, t.body, t.media, t.attempts, t.claim, t.expires_at"
    " FROM texts_out t WHERE t.state = 'queued' AND t.lane = :lane"
    " AND t.next_at <= :now AND NOT EXISTS (SELECT 1 FROM texts_out e WHERE e.state = 'queued'"
    " AND e.sender = t.sender AND e.recipient = t.recipient"
    " AND (e.queued_at < t.queued_at OR (e.queued_at = t.queued_at AND e.id < t.id)))"
    " ORDER BY t.next_at LIMIT :limit",
    postgres=" FOR UPDATE OF t SKIP LOCKED",
)
CLAIM_OUT: Final = Hot("UPDATE texts_out SET claim = claim + 1, next_at = :until WHERE id = :id")
RELEASE_IN: Final = Hot(
    "UPDATE texts_in SET claim = claim + 1, next_at = :now"
    " WHERE state = 'waiting' AND claim > 0 AND next_at > :now"
)
RELEASE_OUT: Final = Hot(
    "UPDATE texts_out SET claim = claim + 1, next_at = :now"
    " WHERE state = 'queued' AND claim > 0 AND next_at > :now"
)
LATER: Final = Hot(
    "UPDATE texts_out SET next_at = :at, attempts = attempts + :tried, error = :error"
    " WHERE id = :id AND state = 'queued' AND claim = :claim"
)
PROVIDED: Final = Hot("UPDATE texts_out SET provider_id = :provider_id WHERE id = :id AND claim = :claim")
LOOK: Final = Hot(
    "SELECT tenant_id, interaction_id, state, error, claim FROM texts_out WHERE id = :id",
    postgres=" FOR UPDATE",
)
CHANGE: Final = Hot(
    "UPDATE texts_out SET state = :state, error = :error, body = '', media = NULL, changed_at = :now"
    " WHERE id = :id"
)
OF_PROVIDER: Final = Hot(
    "SELECT id FROM texts_out WHERE carrier = :carrier AND provider_id = :provider_id"
    " AND provider_id <> '' ORDER BY queued_at DESC LIMIT 1"
)
EXPIRED: Final = Hot(
    "SELECT id FROM texts_out WHERE state = 'queued' AND expires_at <= :now AND next_at <= :now LIMIT :limit",
    postgres=" FOR UPDATE SKIP LOCKED",
)
"""Not those that are being sent at this moment: what becomes of them decides."""

PARK: Final = Hot(
    "INSERT INTO text_receipts (carrier, provider_id, state, error, at, parked_at)"
    " VALUES (:carrier, :provider_id, :state, :error, :at, :now) ON CONFLICT DO NOTHING"
)
PARKED_FOR: Final = Hot(
    "SELECT state, error, at FROM text_receipts WHERE carrier = :carrier AND provider_id = :provider_id"
    " ORDER BY parked_at"
)
UNPARK: Final = Hot("DELETE FROM text_receipts WHERE carrier = :carrier AND provider_id = :provider_id")
FOUND_OWNER: Final = Hot(
    "SELECT r.carrier, r.provider_id, t.id FROM text_receipts r CROSS JOIN texts_out t"
    " WHERE t.carrier = r.carrier AND t.provider_id = r.provider_id AND t.provider_id <> '' LIMIT 100"
)
"""CROSS JOIN has SQLite begin with the few parked receipts."""
FORGET_RECEIPTS: Final = Hot("DELETE FROM text_receipts WHERE parked_at < :before")
FORGET_IN: Final = Hot(
    "DELETE FROM texts_in WHERE id IN (SELECT id FROM texts_in WHERE taken_at < :before"
    " AND state = 'done' LIMIT 500)"
)
FORGET_OUT: Final = Hot(
    "DELETE FROM texts_out WHERE id IN (SELECT id FROM texts_out WHERE queued_at < :before"
    " AND state <> 'queued' LIMIT 500)"
)
