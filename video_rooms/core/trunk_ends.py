"""Why a call to LiveKit's SIP service, or one of its to the switch, came to nothing, in the words of
``JoinFailed``. Pure.

The service answers 486 where the room is not there, 403 where a password is not ours, 404 where no rule fits,
408, 480 and 603 where it rang in vain, 503 where it has no server behind it. What is told is the switch's
Q.850 cause (``ast_sip_hangup_sip2cause``): the final itself does not always reach its events in time.
"""

from __future__ import annotations

from typing import Final

DECLINED: Final = 29
"""Q.850 "facility rejected": what our dialplan makes of 603, which is 21 otherwise, as 403 is."""
_WHY: Final = {
    17: "no_room",  # 486, 600
    18: "timeout",  # 408, or no answer at all
    19: "timeout",  # 480; it rang, and nobody answered
    20: "timeout",
    DECLINED: "refused",
}
_WHY_STATUS: Final = {
    408: "timeout",
    480: "timeout",
    487: "timeout",  # nobody answered in time: the service took its call back
    486: "no_room",
    600: "no_room",
    603: "refused",
}
ELSEWHERE: Final = frozenset({"unreachable", "timeout"})
"""Endings that say nothing about the room: another way into it may be tried."""


def why_not(cause: int | None) -> str:
    """What this cause means for the room that was to be entered. Passwords (21), rules (1), servers that are
    away (34, 38, 41) and everything unheard of are no business of the room's: ``unreachable``."""
    return _WHY.get(cause or 0, "unreachable")


def why_not_called(status: int) -> str:
    """What a SIP final (RFC 3261, section 21) that ended the service's own call means, in the same words.
    Names that are worth nothing (403, 404), passwords (401, 407), a switch that is away (5xx) and everything
    unheard of are ``unreachable``."""
    return _WHY_STATUS.get(status, "unreachable")
