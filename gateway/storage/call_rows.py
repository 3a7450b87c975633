"""Calls, events and CDRs as rows and back: pure translation, no statements."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from dialplan.core.call import Call, Direction, Ender
from dialplan.core.record import CallEvent, CallRecord, Cdr, iso, shown
from dialplan.core.snapshot import encode
from gateway.storage.columns import seconds_to_micros
from gateway.storage.jsontext import to_json
from gateway.storage.records import TimelineEntry
from telephony.causes import CallStatus, Result, Termination
from telephony.ids import CallId, TenantId

Row = dict[str, Any]
"""Values by column, in the form that ``gateway.storage.hot`` gives to a driver."""


def terms_row(known: CallRecord) -> Row:
    """The columns that change after the call's first append only where its caller was sent on a detour."""
    return {
        "id": known.id,
        "tenant_id": known.tenant,
        "direction": known.direction.value,
        "to_number": known.to_number,
        "from_number": known.from_number,
        "agent_id": known.agent_id,
        "record": known.record,
        "metadata": to_json(known.metadata),
        "webhook_url": known.webhook_url,
        "api_key_id": known.api_key_id,
        "created_at": seconds_to_micros(known.created_at),
        "session_id": known.session_id,
        "seat": known.seat,
        "to_seat": known.to_seat,
        "private": known.private,
    }


def state_row(call: Call, known: CallRecord) -> Row:
    """Every other column. A settled call needs no snapshot: nothing is left to wait for."""
    ended = known.termination
    return {
        "id": known.id,
        "status": known.status.value,
        "answered_at": _micros(known.answered_at),
        "ended_at": _micros(known.ended_at),
        "duration_seconds": known.duration_s,
        "hangup_cause": known.hangup_cause,
        "sip_code": known.sip_code,
        "termination_result": None if ended is None else ended.result.value,
        "termination_reason": None if ended is None else ended.reason,
        "ended_by": None if known.ended_by is None else known.ended_by.value,
        "sequence": known.sequence,
        "room_id": known.room_id,
        "snapshot": None if call.settled else to_json(encode(call)),
    }


def _micros(at: float | None) -> int | None:
    return None if at is None else seconds_to_micros(at)


def to_record(row: RowMapping) -> CallRecord:
    """The call as shown, from its row."""
    termination = None
    if row["termination_result"] is not None:
        termination = Termination(Result(row["termination_result"]), row["termination_reason"])
    return CallRecord(
        id=CallId(row["id"]),
        tenant=TenantId(row["tenant_id"]),
        direction=Direction(row["direction"]),
        status=CallStatus(row["status"]),
        to_number=row["to_number"],
        from_number=row["from_number"],
        created_at=row["created_at"],
        agent_id=row["agent_id"],
        record=row["record"],
        metadata=tuple((key, value) for key, value in row["metadata"]),
        webhook_url=row["webhook_url"],
        api_key_id=row["api_key_id"],
        answered_at=row["answered_at"],
        ended_at=row["ended_at"],
        duration_s=row["duration_seconds"],
        hangup_cause=row["hangup_cause"],
        sip_code=row["sip_code"],
        termination=termination,
        ended_by=None if row["ended_by"] is None else Ender(row["ended_by"]),
        sequence=row["sequence"],
        session_id=row["session_id"],
        seat=row["seat"],
        to_seat=row["to_seat"],
        private=row["private"],
        room_id=row["room_id"],
    )


def event_row(event: CallEvent) -> Row:
    """The row of one timeline entry."""
    return {
        "call_id": event.call_id,
        "sequence": event.sequence,
        "tenant_id": event.tenant,
        "type": event.type,
        "at": seconds_to_micros(event.at),
        "payload": to_json({"status": event.call.status.value, "detail": event.detail}),
    }


def to_timeline_entry(row: RowMapping) -> TimelineEntry:
    """One timeline entry, from its row."""
    payload = row["payload"]
    detail = tuple((key, value) for key, value in payload["detail"])
    return TimelineEntry(row["sequence"], row["type"], row["at"], payload["status"], detail)


def cdr_row(cdr: Cdr) -> Row:
    """The row of a CDR: the call as the API shows it, and what only the facts told."""
    known = cdr.call
    body = {
        "call": shown(known),
        "ring_seconds": cdr.ring_s,
        "talk_seconds": cdr.talk_s,
        "caller_cause": cdr.caller_cause,
        "callee_cause": cdr.callee_cause,
        "late_facts": cdr.late_facts,
        "callee": cdr.callee or None,
        "former_callees": [
            {
                "callee": party.who,
                "answered_at": iso(party.answered_at),
                "ended_at": iso(party.ended_at),
                "reason": party.why,
                "cause": party.cause,
            }
            for party in cdr.former
        ],
    }
    return {
        "call_id": known.id,
        "tenant_id": known.tenant,
        "ended_at": _micros(known.ended_at),
        "body": to_json(body),
    }
