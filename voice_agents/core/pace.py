"""Whether an agent's sound can be at the rate that was agreed, judged by its pace. Pure.

An agent that sends in real time sends a second of sound a second. One that does so steadily, but at another
multiple, has another sampling rate; twice real time alone proves nothing, since some agents send ahead.
Bursts say nothing and are not judged.
"""

from __future__ import annotations

WINDOW_S = 2.0
_STEADY_GAP_S = 0.15
_SLOW = 0.8
_FAST = (2.7, 6.6)
_TWICE = (1.85, 2.15)
_TWICE_S = 10.0


class Pace:
    """One line's pace. Mutable."""

    def __init__(self) -> None:
        self._since = self._last = -1.0
        self._ms = 0.0
        self._twice_since: float | None = None

    def sent(self, ms: float, now: float) -> float | None:
        """Sound of so many milliseconds came. The ratio to real time where that is wrong, else None."""
        if self._since < 0 or now - self._last > _STEADY_GAP_S:
            self._since = self._last = now
            self._ms, self._twice_since = 0.0, None
            return None
        self._ms += ms
        self._last = now
        span_s = now - self._since
        if span_s < WINDOW_S:
            return None
        ratio = self._ms / 1000 / span_s
        self._since, self._ms = now, 0.0
        if _TWICE[0] <= ratio <= _TWICE[1]:
            since = self._twice_since = now - WINDOW_S if self._twice_since is None else self._twice_since
            return ratio if now - since >= _TWICE_S else None
        self._twice_since = None
        return ratio if ratio < _SLOW or _FAST[0] <= ratio <= _FAST[1] else None
