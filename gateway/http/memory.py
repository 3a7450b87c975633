"""Remembers what was looked up a moment ago, for answers that may be a little old."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from telephony.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """At most ``size`` answers, each for ``for_s`` seconds. Errors are not remembered."""

    def __init__(self, clock: Clock, *, for_s: float, size: int = 4096) -> None:
        self._clock = clock
        self._for_s = for_s
        self._size = size
        self._known: OrderedDict[K, tuple[float, V]] = OrderedDict()

    async def of(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """What is remembered for ``key``, else what ``ask`` finds."""
        known = self._known.get(key)
        if known is not None and self._clock.mono() < known[0]:
            return known[1]
        found = await ask()
        self._known[key] = (self._clock.mono() + self._for_s, found)
        self._known.move_to_end(key)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Ask again from now on."""
        self._known.clear()
