"""The decision that a call shall end, now or later. The joint rules carry it out."""

from __future__ import annotations

from dialplan.core.call import Call, Ender
from dialplan.core.evolve import replace


def end(call: Call, by: Ender, why: str, now: float) -> Call:
    """Decide that the call shall end. The first decision stands, the earliest time counts; the joint rules
    carry it out."""
    if call.ended_by is not None:
        waits = call.ending_at is not None and call.ending_at > now
        return replace(call, ending_at=now) if waits else call
    return replace(call, ended_by=by, ended_why=why, ending_at=now)


def arrange(call: Call, why: str, at: float) -> Call:
    """The call shall end at this time, if it has not ended by then. The earliest time counts."""
    if call.ended_by is not None or (call.end_at is not None and call.end_at <= at):
        return call
    return replace(call, end_at=at, end_why=why)
