"""One clock for all calls: every leg is called each 20 ms, a quarter of them every 5 ms.

Beats lie on a grid from one monotonic origin, so lateness does not add up. A leg may move to the quarter
that suits its channel in the switch. After a stall at most three beats are made up for; older ones are left
out.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

QUARTERS = 4
BEAT_S = 0.005
_HAIR_S = 0.00005
CATCH_UP = 12
"""Quarters that are made up for: three frames."""
BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Ticked(Protocol):
    """What is called each 20 ms. Must return at once, and must not raise."""

    def tick(self, now: float) -> None: ...


@dataclass(slots=True)
class Lateness:
    """How late beats were: ``counts[i]`` is of those within ``BOUNDS_MS[i]``, the last of all others."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    beats: int = 0
    sum_ms: float = 0.0
    worst_ms: float = 0.0
    left_out: int = 0

    def note(self, late_s: float) -> None:
        late_ms = max(0.0, late_s * 1000)
        place = next((i for i, bound in enumerate(BOUNDS_MS) if late_ms <= bound), len(BOUNDS_MS))
        self.counts[place] += 1
        self.beats += 1
        self.sum_ms += late_ms
        self.worst_ms = max(self.worst_ms, late_ms)


class Ticker:
    """Runs while there is a leg. ``beat`` is called on each beat, for whoever watches the loop."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, beat: Callable[[float], None] | None = None
    ) -> None:
        self.lateness = Lateness()
        self._clock, self._beat = clock, beat
        self._quarters: tuple[dict[Ticked, None], ...] = tuple({} for _ in range(QUARTERS))
        self._place: dict[Ticked, int] = {}
        self._origin = clock()
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._place)

    def add(self, leg: Ticked) -> None:
        """The emptiest quarter takes it."""
        quarter = min(range(QUARTERS), key=lambda q: len(self._quarters[q]))
        self._quarters[quarter][leg] = None
        self._place[leg] = quarter
        if self._timer is None:
            self._origin, self._next = self._clock(), 1
            self._wait()

    def remove(self, leg: Ticked) -> None:
        quarter = self._place.pop(leg, None)
        if quarter is not None:
            del self._quarters[quarter][leg]

    def align(self, leg: Ticked, at: float) -> None:
        """Call this leg in the quarter in which the moment ``at`` lies, at its begin."""
        quarter = int((at - self._origin) / BEAT_S) % QUARTERS
        before = self._place.get(leg)
        if before is not None and before != quarter:
            del self._quarters[before][leg]
            self._quarters[quarter][leg] = None
            self._place[leg] = quarter

    def moment(self, leg: Ticked) -> float:
        """One of the moments, 20 ms apart, at which this leg is called."""
        return self._origin + self._place.get(leg, 0) * BEAT_S

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._place.clear()
        for quarter in self._quarters:
            quarter.clear()

    def _wait(self) -> None:
        """Loops round what is less than a millisecond down to nothing; so it is rounded up here."""
        wait_s = self._origin + self._next * BEAT_S - self._clock()
        wait_ms = math.ceil((wait_s - _HAIR_S) * 1000)
        self._timer = asyncio.get_running_loop().call_later(max(0, wait_ms) / 1000, self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._clock()
        behind = int((now - self._origin) / BEAT_S) - self._next
        self.lateness.note(now - (self._origin + self._next * BEAT_S))
        if self._beat is not None:
            self._beat(now)
        if behind > CATCH_UP:
            self.lateness.left_out += behind - CATCH_UP
            self._next += behind - CATCH_UP
        while self._origin + self._next * BEAT_S <= now + 2 * _HAIR_S:
            for leg in tuple(self._quarters[self._next % QUARTERS]):
                leg.tick(now)
            self._next += 1
        if self._place:
            self._wait()
