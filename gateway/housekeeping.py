"""What must be tidied now and then while the gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from telephony.errors import PatchbayError

_log = structlog.get_logger("gateway.housekeeping")
Chore = Callable[[], Awaitable[object]]


class Housekeeping:
    """Runs each chore every ``every_s`` seconds, at once first. One that fails is tried again next time."""

    def __init__(self, chores: Sequence[tuple[str, Chore]], *, every_s: float = 3600.0) -> None:
        self._chores = chores
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._run(), name="housekeeping")

    async def stop(self) -> None:
        """End; a chore under way is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            for name, chore in self._chores:
                try:
                    await chore()
                except PatchbayError as error:
                    _log.warning("chore.failed", chore=name, code=error.code)
            await asyncio.sleep(self._every_s)
