"""An event loop whose time passes only when nothing else is left to do: deadlines without waiting.

When every task waits and no timer is set, nothing could ever happen again: that is an error, at once.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import ParamSpec

P = ParamSpec("P")


class EverybodyWaits(RuntimeError):
    """All tasks wait for one another, and no deadline is set."""


class _Selector(selectors.SelectSelector):
    """Never blocks: what would be a wait for time moves the loop's clock instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise EverybodyWaits
        self.loop.advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self._passed = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        self._passed += max(0.0, seconds)


def in_virtual_time(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Runs an async test in a loop of its own in which hours pass at once."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
