"""How many legs use each trunk, counted from the live calls; nothing is asked of the switch.

A leg takes its line when the call is made, before anything rings, and gives it back when it has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dialplan.core.call import Call, Connect, Direction, Reject, Trunk
from telephony.ids import CallId

TRUNK_FULL = "trunk_full"
"""The termination's token of a call that is turned away for want of a line."""


def lines_of(call: Call) -> tuple[str, ...]:
    """The trunks and phones this call's legs use now, one entry a leg. Pure."""
    if isinstance(call.route, Reject) and call.terms.direction is Direction.INBOUND:
        return ()
    used = [call.caller.line] if call.caller.live and call.caller.line else []
    if call.callee.live and isinstance(call.route, Connect) and isinstance(call.route.endpoint, Trunk):
        used.append(call.route.endpoint.trunk)
    left = (old.endpoint for old in call.former if old.leg.live)
    used += [endpoint.trunk for endpoint in left if isinstance(endpoint, Trunk)]
    return tuple(used)


class Lines:
    """The count. ``limits``: most legs at once, by trunk; a trunk that is not in it has no limit."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = {trunk: most for trunk, most in limits.items() if most > 0}
        self._held: dict[CallId, tuple[str, ...]] = {}
        self.used: Counter[str] = Counter()

    def limit(self, trunk: str) -> int:
        """Most legs at once over this trunk; 0 where there is no limit."""
        return self._limits.get(trunk, 0)

    def full_for(self, call: Call) -> str | None:
        """The trunk that has no line left for this call as it would be, if there is one. What the call holds
        already is its own."""
        if not self._limits:
            return None
        held = Counter(self._held.get(call.id, ()))
        for trunk, wanted in Counter(lines_of(call)).items():
            if trunk in self._limits and self.used[trunk] - held[trunk] + wanted > self._limits[trunk]:
                return trunk
        return None

    def note(self, call: Call) -> None:
        """Count the lines that this call uses as it stands now. Costs nothing where there are no limits."""
        if self._limits:
            self._hold(call.id, lines_of(call))

    def forget(self, call_id: CallId) -> None:
        """The call is over."""
        self._hold(call_id, ())

    def _hold(self, call_id: CallId, now: tuple[str, ...]) -> None:
        before = self._held.get(call_id, ())
        if now == before:
            return
        self.used.subtract(before)
        self.used.update(now)
        if now:
            self._held[call_id] = now
        else:
            del self._held[call_id]
