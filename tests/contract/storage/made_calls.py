"""Calls for storage tests, made by hand: the machine has tests of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from dialplan.core.call import Call, Connect, Direction, Ender, Leg, Phone, Rank, Role, Tape, TapeState, Terms
from dialplan.core.record import CallEvent, record
from telephony.causes import CallStatus, Result, Termination
from telephony.ids import CallId, ChannelId, LegId, TenantId

T0 = 1_772_971_200.25
"""2026-03-08T12:00:00.250Z"""
OURS, THEIRS = TenantId("tnt_ours"), TenantId("tnt_theirs")
TO, FROM = "+14155552671", "+12025551234"


def started(
    n: int, *, tenant: TenantId = OURS, created_at: float = T0, to: str = TO, from_: str = FROM
) -> Call:
    """A call that was just accepted: its first event has sequence 1."""
    call_id = CallId(f"call_{n:026d}")
    terms = Terms(
        tenant,
        Direction.OUTBOUND,
        to,
        from_,
        record=True,
        webhook_url="https://example.com/hook",
        metadata=(("campaign", "retention"), ("zeta", "é")),
        api_key_id="key_1",
    )
    caller = Leg(
        LegId(f"{call_id}-a"), Role.CALLER, Rank.DIALING, ChannelId(f"{call_id}-a"), dialed_at=created_at
    )
    callee = Leg(LegId(f"{call_id}-b"), Role.CALLEE)
    return Call(call_id, terms, created_at, caller, callee, route=Connect(Phone("desk")), sequence=1)


def ringing(call: Call, at: float) -> Call:
    caller = replace(call.caller, rank=Rank.RINGING, rang_at=at)
    return replace(call, caller=caller, status=CallStatus.RINGING, sequence=call.sequence + 1)


def answered(call: Call, at: float) -> Call:
    caller = replace(call.caller, rank=Rank.UP, answered_at=at)
    return replace(
        call,
        caller=caller,
        status=CallStatus.IN_PROGRESS,
        answered_at=at,
        talking_at=at,
        sequence=call.sequence + 1,
    )


def completed(call: Call, at: float, *, tapes: tuple[Tape, ...] = ()) -> Call:
    caller = replace(call.caller, rank=Rank.ENDED, ended_at=at, cause=16)
    return replace(
        call,
        caller=caller,
        callee=replace(call.callee, rank=Rank.ENDED, ended_at=at, cause=16),
        status=CallStatus.COMPLETED,
        termination=Termination(Result.SUCCESS, "hangup_by_caller"),
        ended_by=Ender.CALLER,
        ended_at=at,
        sequence=call.sequence + 1,
        tapes=tapes,
    )


def event(call: Call, type_: str, at: float, *detail: tuple[str, str]) -> CallEvent:
    """The event that the call's present sequence number belongs to."""
    return CallEvent(call.id, call.terms.tenant, call.sequence, type_, at, detail, record(call))


def told(call: Call, type_: str, at: float, *detail: tuple[str, str]) -> tuple[Call, CallEvent]:
    """The call with one more event, and that event."""
    call = replace(call, sequence=call.sequence + 1)
    return call, event(call, type_, at, *detail)


def tape(call: Call, state: TapeState, *, stopped_at: float | None = None) -> Tape:
    return Tape(f"{call.id}-1", state, T0 + 5, stopped_at)


class FixedClock:
    """The moment at which the calls of these tests begin."""

    def wall(self) -> datetime:
        return datetime.fromtimestamp(T0, UTC)

    def mono(self) -> float:
        return 0.0
