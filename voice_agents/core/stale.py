"""The rest of what was interrupted: an agent sends on until it knows. Pure; times in seconds.

It ends with the agent's own word that it begins anew, with a silence of the agent, or after a while in which
an agent that means to go on has shown so.
"""

from __future__ import annotations

GAP_S = 0.25
MOST_S = 1.5


class Stale:
    """Of one session."""

    def __init__(self) -> None:
        self._until = self._last = 0.0

    def begin(self, now: float) -> None:
        """The caller interrupted the agent."""
        self._until, self._last = now + MOST_S, now

    def end(self) -> None:
        """What the agent says from now on is new."""
        self._until = 0.0

    def holds(self, now: float) -> bool:
        """Whether what comes now is old."""
        return now < self._until

    def sound(self, now: float) -> bool:
        """Whether the sound that came now is old."""
        if now >= self._until:
            return False
        gap, self._last = now - self._last, now
        if gap > GAP_S:
            self._until = 0.0
        return gap <= GAP_S
