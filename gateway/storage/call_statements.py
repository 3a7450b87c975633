"""The statements that store a call: what ``CallRepository.append`` runs, several times in every call."""

from __future__ import annotations

from typing import Final

from gateway.storage.hot import Hot

KNOWN: Final = Hot("SELECT sequence FROM calls WHERE id = :id", postgres=" FOR UPDATE")
"""The sequence of the last event that is stored; no row when the call is new."""
ADD: Final = Hot(
    "INSERT INTO calls (id, tenant_id, direction, status, to_number, from_number, agent_id, record,"
    " metadata, webhook_url, api_key_id, created_at, answered_at, ended_at, duration_seconds,"
    " hangup_cause, sip_code, termination_result, termination_reason, ended_by, sequence, snapshot,"
    " session_id, seat, to_seat, private, room_id)"
    " VALUES (:id, :tenant_id, :direction, :status, :to_number, :from_number, :agent_id, :record,"
    " :metadata, :webhook_url, :api_key_id, :created_at, :answered_at, :ended_at, :duration_seconds,"
    " :hangup_cause, :sip_code, :termination_result, :termination_reason, :ended_by, :sequence, :snapshot,"
    " :session_id, :seat, :to_seat, :private, :room_id)"
)
CHANGE: Final = Hot(
    "UPDATE calls SET status = :status, answered_at = :answered_at, ended_at = :ended_at,"
    " duration_seconds = :duration_seconds, hangup_cause = :hangup_cause, sip_code = :sip_code,"
    " termination_result = :termination_result, termination_reason = :termination_reason,"
    " ended_by = :ended_by, sequence = :sequence, snapshot = :snapshot, room_id = :room_id WHERE id = :id"
)
"""What may change after the call's first append; the rest are its terms."""
CHANGE_TERMS: Final = Hot(
    "UPDATE calls SET record = :record, webhook_url = :webhook_url, session_id = :session_id, seat = :seat,"
    " to_seat = :to_seat, private = :private WHERE id = :id"
)
"""Those terms that the answer after a detour may change."""
ADD_EVENT: Final = Hot(
    "INSERT INTO call_events (call_id, sequence, tenant_id, type, at, payload)"
    " VALUES (:call_id, :sequence, :tenant_id, :type, :at, :payload)"
)
ADD_CDR: Final = Hot(
    "INSERT INTO cdrs (call_id, tenant_id, ended_at, body) VALUES (:call_id, :tenant_id, :ended_at, :body)"
    " ON CONFLICT DO NOTHING"
)
"""The first CDR of a call counts; no row changed means that there was one."""
