"""What the world may know of a call: one record, shown alike in API, webhook, log and CDR."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from dialplan.core.call import (
    ROOM,
    AgentSocket,
    Announcement,
    Call,
    Connect,
    Direction,
    Ender,
    Endpoint,
    Former,
    HoldMusic,
    Leg,
    Phone,
    Role,
    Trunk,
    VideoRoom,
)
from dialplan.core.moving import outcome_of
from telephony.causes import CallStatus, Cause, Termination
from telephony.ids import CallId, TenantId
from telephony.numbers import mask

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as stored and shown. Times are epoch seconds; ``duration_s`` counts from answer to end.

    ``session_id``, ``seat``, ``to_seat`` and ``private`` are those of the call's terms; ``room_id`` is the
    video room that it led to.
    """

    id: CallId
    tenant: TenantId
    direction: Direction
    status: CallStatus
    to_number: str
    from_number: str
    created_at: float
    agent_id: str | None = None
    record: bool = False
    metadata: tuple[tuple[str, str], ...] = ()
    webhook_url: str | None = None
    api_key_id: str | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    duration_s: int | None = None
    hangup_cause: int | None = None
    sip_code: int | None = None
    termination: Termination | None = None
    ended_by: Ender | None = None
    sequence: int = 0
    session_id: str | None = None
    seat: int = -1
    to_seat: int = -1
    private: bool = False
    room_id: str | None = None

    def __repr__(self) -> str:
        return f"CallRecord({self.id}, {self.status})"


def record(call: Call) -> CallRecord:
    """The record of a call as it stands."""
    terms, subject = call.terms, call.subject
    duration = None
    if call.ended_at is not None:
        duration = 0 if call.answered_at is None else max(0, round(call.ended_at - call.answered_at))
    return CallRecord(
        id=call.id,
        tenant=terms.tenant,
        direction=terms.direction,
        status=call.status,
        to_number=terms.to_number,
        from_number=terms.from_number,
        created_at=call.created_at,
        agent_id=terms.agent_id,
        record=terms.record,
        metadata=terms.metadata,
        webhook_url=terms.webhook_url,
        api_key_id=terms.api_key_id,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        duration_s=duration,
        hangup_cause=_cause(call, subject.cause) if call.closed else None,
        sip_code=subject.sip if call.closed and call.answered_at is None else None,
        termination=call.termination,
        ended_by=call.ended_by if call.closed else None,
        sequence=call.sequence,
        session_id=terms.session_id,
        seat=terms.seat,
        to_seat=terms.to_seat,
        private=terms.private,
        room_id=call.room_id,
    )


def _cause(call: Call, cause: int | None) -> int | None:
    """A BYE without a Reason leaves Asterisk's cause at 0; on an answered call it means normal clearing."""
    return int(Cause.NORMAL_CLEARING) if call.answered_at is not None and not cause else cause


def iso(at: float | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, or None.

    >>> iso(0.0)
    '1970-01-01T00:00:00.000Z'
    """
    if at is None:
        return None
    second, micros = divmod(round(at * 1_000_000), 1_000_000)
    return f"{_iso_second(second)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=64)
def _iso_second(second: int) -> str:
    """Every moment of a call is told several times, and most calls have several in one second."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


@lru_cache(maxsize=128)
def cause_name(cause: int | None) -> str | None:
    """The lower-case name of a Q.850 cause, e.g. ``user_busy``; ``cause_99`` where it has none here."""
    if cause is None:
        return None
    try:
        return Cause(cause).name.lower()
    except ValueError:
        return f"cause_{cause}"


def shown(known: CallRecord, *, whole: bool = False) -> dict[str, Json]:
    """The public form of a call, as the API and webhooks give it (without what needs signing).

    The real number in a private call is masked, unless ``whole`` numbers were asked for by somebody who may
    see them. The other end is a number of ours, and stays.
    """
    hidden = None if whole or not known.private else known.direction
    termination: Json = None
    if known.termination is not None:
        termination = {"result": str(known.termination.result), "reason": known.termination.reason}
    return {
        "id": known.id,
        "direction": str(known.direction),
        "to": masked_end(known.to_number) if hidden is Direction.OUTBOUND else known.to_number,
        "from": masked_end(known.from_number) if hidden is Direction.INBOUND else known.from_number,
        "agent_id": known.agent_id,
        "session_id": known.session_id,
        "room_id": known.room_id,
        "status": str(known.status),
        "record": known.record,
        "metadata": dict(known.metadata),
        "webhook_url": known.webhook_url,
        "created_at": iso(known.created_at),
        "answered_at": iso(known.answered_at),
        "ended_at": iso(known.ended_at),
        "duration_seconds": known.duration_s,
        "hangup_cause": cause_name(known.hangup_cause),
        "hangup_cause_code": known.hangup_cause,
        "sip_code": known.sip_code,
        "termination": termination,
        "ended_by": None if known.ended_by is None else str(known.ended_by),
    }


def masked_end(end: str) -> str:
    """An end of a call, masked where it is a number: the name of a phone of ours, or of a room, is none.

    >>> masked_end("phone:alice"), masked_end("+14155552671")
    ('phone:alice', '+141••••••71')
    """
    return end if end.startswith(("phone:", ROOM)) else mask(end)


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One entry of a call's timeline, also sent to webhooks. ``sequence`` counts from 1 within the call."""

    call_id: CallId
    tenant: TenantId
    sequence: int
    type: str
    at: float
    detail: tuple[tuple[str, str], ...]
    call: CallRecord


@dataclass(frozen=True, slots=True)
class Party:
    """A callee of a call: ``who`` (a number, ``phone:NAME``, ``agent:ID``, ``room:ID``, ``room``,
    ``announcement``, ``hold``), from when to when, and ``why`` its leg ended. Times are epoch seconds;
    ``answered_at`` is None where it was not answered."""

    who: str
    answered_at: float | None
    ended_at: float | None
    why: str
    cause: int | None


@dataclass(frozen=True, slots=True)
class Cdr:
    """The one call detail record: folded from facts when the call closes. Durations in seconds.

    ``callee`` is whom the call was with last; ``former`` are the callees it had left by then.
    """

    call: CallRecord
    ring_s: float | None
    talk_s: float | None
    caller_cause: int | None
    callee_cause: int | None
    late_facts: int
    callee: str = ""
    former: tuple[Party, ...] = ()


def cdr(call: Call, known: CallRecord | None = None) -> Cdr:
    """Fold a closed call into its CDR; ``known`` is its record, where that has been made already."""
    subject = _first_answered(call)
    ring = _length(subject.rang_at, subject.answered_at or subject.ended_at)
    talk = _length(call.talking_at, call.ended_at)
    return Cdr(
        known or record(call),
        ring,
        talk,
        call.caller.cause,
        call.callee.cause,
        call.late_facts,
        _name(call.route.endpoint, call.terms.private) if isinstance(call.route, Connect) else "",
        tuple(_party(old, call.terms.private) for old in call.former),
    )


def _first_answered(call: Call) -> Leg:
    """The leg whose answer was the call's: of several callees, the one that answered first."""
    if call.subject.role is Role.CALLER:
        return call.subject
    answered = (old.leg for old in call.former if old.leg.answered_at is not None)
    return next(answered, call.subject)


def _party(old: Former, private: bool) -> Party:
    leg = old.leg
    why = old.why or outcome_of(leg, old.endpoint)
    return Party(_name(old.endpoint, private), leg.answered_at, leg.ended_at, why, leg.cause)


def _name(endpoint: Endpoint, private: bool) -> str:
    match endpoint:
        case Trunk(number=number):
            return mask(number.reveal()) if private else number.reveal()
        case Phone(name=name):
            return f"phone:{name}"
        case AgentSocket(agent_id=agent_id):
            return f"agent:{agent_id}"
        case VideoRoom(room_id=room_id):
            return f"room:{room_id}" if room_id else "room"
        case Announcement():
            return "announcement"
        case HoldMusic():
            return "hold"


def _length(start: float | None, end: float | None) -> float | None:
    """Seconds between; a second source may tell of moments before what was heard, then none passed."""
    return None if start is None or end is None else max(0.0, round(end - start, 3))
