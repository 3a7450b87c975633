"""Why a call to LiveKit's SIP service came to nothing, in the words of ``JoinFailed``. Pure.

LiveKit's service answers 486 where the room is not there, 403 and 407 for a password that is not ours, 404
where no rule fits, 408, 480 and 603 where it rang in vain, 503 where it has no server behind it. A switch
that is not answered at all ends by itself, without a final.
"""

from __future__ import annotations

from typing import Final

BUSY: Final = frozenset({486, 600})
_BY_FINAL: Final = {
    401: "unreachable",
    403: "unreachable",
    404: "unreachable",
    407: "unreachable",
    408: "timeout",
    480: "timeout",
    486: "no_room",
    487: "timeout",
    600: "no_room",
    603: "refused",
}
_BY_CAUSE: Final = {17: 486, 18: 408, 19: 480, 21: 403, 1: 404}
"""Q.850 causes as Asterisk derives them from finals (``ast_sip_hangup_sip2cause``), where it told none."""
ELSEWHERE: Final = frozenset({"unreachable", "timeout"})
"""Endings that say nothing about the room: another way into it may be tried."""


def why_not(sip: int | None, cause: int | None) -> str:
    """What this final, or without one this cause, means for the room that was to be entered."""
    final = sip if sip is not None else _BY_CAUSE.get(cause or 0)
    return _BY_FINAL.get(final or 0, "unreachable")
