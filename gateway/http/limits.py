"""Rate limits: a moving window per name, of one minute unless said otherwise, in this process or in Redis.

The window is estimated from two counters (this one and the one before, weighted by how much of it
still counts): no burst of twice the limit at a window's turn, and two numbers of memory per name.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

WINDOW_S: Final = 60
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Where a name stands. ``reset_s``: seconds until it may go on, or until this window ends if it may."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Count:
    """Hits in the window numbered ``window``, and in the one before."""

    window: int
    current: int
    previous: int


class Rates(Protocol):
    """Counts hits by name. ``take`` counts one if it is allowed; ``peek`` only looks.

    ``limit`` hits are allowed in ``window_s`` seconds; windows of different lengths count apart.
    """

    async def take(self, name: str, limit: int, window_s: int = WINDOW_S) -> Rate: ...

    async def peek(self, name: str, limit: int, window_s: int = WINDOW_S) -> Rate: ...


def rolled(count: Count | None, now: float, window_s: int = WINDOW_S) -> Count:
    """The counters as they are at ``now`` (epoch seconds)."""
    window = int(now // window_s)
    if count is None or count.window < window - 1:
        return Count(window, 0, 0)
    if count.window == window - 1:
        return Count(window, 0, count.current)
    return count


def judge(count: Count, limit: int, now: float, window_s: int = WINDOW_S) -> Rate:
    """Whether one more hit is within ``limit`` a window. ``remaining`` is what is left before it."""
    gone = (now % window_s) / window_s
    used = count.previous * (1 - gone) + count.current
    left_s = max(1, math.ceil(window_s * (1 - gone)))
    if used + 1 <= limit:
        return Rate(True, limit, int(limit - used), left_s)
    if count.current + 1 > limit or not count.previous:
        return Rate(False, limit, 0, left_s)
    free_at = 1 - (limit - 1 - count.current) / count.previous
    return Rate(False, limit, 0, max(1, math.ceil((free_at - gone) * window_s)))


class LocalRates:
    """Counters of this process. ``now`` gives epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: OrderedDict[tuple[str, int], Count] = OrderedDict()

    async def take(self, name: str, limit: int, window_s: int = WINDOW_S) -> Rate:
        now, key = self._now(), (name, window_s)
        count = rolled(self._counts.get(key), now, window_s)
        rate = judge(count, limit, now, window_s)
        if rate.allowed:
            count = Count(count.window, count.current + 1, count.previous)
            rate = Rate(True, limit, rate.remaining - 1, rate.reset_s)
        self._counts[key] = count
        self._counts.move_to_end(key)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
        return rate

    async def peek(self, name: str, limit: int, window_s: int = WINDOW_S) -> Rate:
        now = self._now()
        return judge(rolled(self._counts.get((name, window_s)), now, window_s), limit, now, window_s)
