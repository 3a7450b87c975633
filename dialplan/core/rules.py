"""Joint rules about one thing each: what both legs' ranks mean for the call and for the world."""

from __future__ import annotations

from dialplan.core import orders
from dialplan.core.call import Call, Direction, Rank
from dialplan.core.evolve import replace
from dialplan.core.publish import publish
from telephony.causes import CallStatus

Step = tuple[Call, tuple[orders.Order, ...]]


def statuses(call: Call, now: float) -> Step:
    """The subject leg's rank is the call's public status until it ends."""
    subject = call.subject
    if subject.rang_at is not None and call.status.rank < CallStatus.RINGING.rank and subject.live:
        return publish(replace(call, status=CallStatus.RINGING), "call.ringing", subject.rang_at)
    if subject.answered_at is not None and call.answered_at is None:
        call = replace(call, status=CallStatus.IN_PROGRESS, answered_at=subject.answered_at)
        return publish(call, "call.answered", subject.answered_at)
    return call, ()


def virtual_callee(call: Call, now: float) -> Step:
    """A prompt or hold music lives and dies with the caller's channel."""
    callee, caller = call.callee, call.caller
    if not call.virtual_callee or not callee.live or callee.rank is Rank.NEW:
        return call, ()
    if not caller.live:
        return call.with_leg(replace(callee, rank=Rank.ENDED, ended_at=now, cause=caller.cause)), ()
    if caller.rank is Rank.UP and callee.rank < Rank.UP:
        return call.with_leg(replace(callee, rank=Rank.UP, answered_at=now)), ()
    return call, ()


def talking(call: Call, now: float) -> Step:
    """Both sides are up: the maximum duration starts to run."""
    if call.talking_at is not None or call.caller.rank is not Rank.UP or call.callee.rank is not Rank.UP:
        return call, ()
    call = replace(call, talking_at=now)
    if call.terms.direction is Direction.OUTBOUND and not call.virtual_callee:
        return publish(call, "call.connected", now)
    return call, ()


def callee_never_was(call: Call, now: float) -> Step:
    """The caller is gone before anybody was dialled."""
    if call.caller.live or call.callee.rank is not Rank.NEW:
        return call, ()
    return call.with_leg(replace(call.callee, rank=Rank.ENDED, ended_at=now)), ()
