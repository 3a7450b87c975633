"""Waiting for a named condition, never for time to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WITHIN_S = 15.0
"""How long the far ends wait for one another where nothing else is said: several of SIP's repetitions. A wait
ends when its condition holds, so patience costs nothing."""


class NotInTime(TimeoutError):
    """A condition did not come true before its deadline; says which one and what was seen instead."""


class Watch:
    """Wakes waiters whenever its owner says that something changed. For one event loop."""

    def __init__(self) -> None:
        self._changed: asyncio.Event | None = None

    def changed(self) -> None:
        """Lets every waiter look again. Costs nothing while nobody waits."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _next_change(self) -> asyncio.Event:
        if self._changed is None:
            self._changed = asyncio.Event()
        return self._changed

    async def until(
        self,
        holds: Callable[[], bool],
        *,
        within_s: float,
        what: str,
        seen: Callable[[], object] = lambda: "nothing",
    ) -> None:
        """Returns once ``holds()`` is true; raises ``NotInTime``, which names ``what``, if it is not after
        ``within_s`` s."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._next_change().wait()
        except TimeoutError:
            if holds():  # why: it came true while this process was held up, together with the deadline
                return
            raise NotInTime(f"{what}: not within {within_s:g} s; seen: {seen()}") from None
