"""Live doors, copied into the switch's database over AMI. Fits ``proxy_pool.ports.SwitchCopy``.

``keep`` and ``forget`` only note what a door shall be; one task writes it, the latest state of each door, in
batches, not faster than ``per_second``, again and again until the switch has said yes. Nothing is lost
while the link is away: what was noted waits.

At the start of a process nobody knows what its predecessor left unwritten, so ``resync`` makes the copy anew:
first the whole family goes, in one order, then the doors of every live session are noted. In between the
copy knows too few doors, never too many: a closed session cannot be joined from it. To compare in place
would need the whole family in memory and would leave what is wrong in it till the comparison has come
that far. Doors that are noted while ``resync`` reads its sessions are newer than what it reads, and win.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from dialplan.ami.client import AmiLink
from dialplan.ami.wire import AmiAction
from gateway.copied_doors import FAMILY, Outside, copied_doors
from proxy_pool.core.session import Session
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable, UnsafeValue

_log = structlog.get_logger("gateway.copy")

_BATCH: Final = 50
_DEADLINE_S: Final = 5.0
_CLEAR_DEADLINE_S: Final = 60.0
_AGAIN_S: Final = 0.5
_LINK_WAIT_S: Final = 5.0
_RENEW_S: Final = 12 * 3600.0
_MOST_WAITING: Final = 4_000_000
"""More doors than that are not noted but resynchronised: the copy must not eat the process."""


@dataclass(frozen=True, slots=True)
class CopyMetrics:
    """``waiting`` doors are noted and not written; ``lag_s`` is the age of the oldest of them."""

    waiting: int
    lag_s: float
    written: int
    removed: int
    failed: int
    refused: int
    resyncs: int


class SwitchCopyWriter:
    """``link`` is one whose AMI user has the class ``system``. ``now`` gives epoch seconds.

    With ``on`` False nothing is ever noted, and ``start`` takes away what an earlier process copied.
    """

    def __init__(
        self,
        link: AmiLink,
        outside: Outside,
        now: Callable[[], float],
        *,
        on: bool = True,
        per_second: float = 2000.0,
    ) -> None:
        self._link = link
        self._outside = outside
        self._now = now
        self._on = on
        self._pause_s = _BATCH / per_second
        self._waiting: dict[str, tuple[float, str | None]] = {}
        self._touched: set[str] | None = None
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._clear = not on
        self._written = self._removed = self._failed = self._refused = self._resyncs = 0
        self._overflowed = False
        self._made_at = now()

    @property
    def due(self) -> bool:
        """Whether a ``resync`` is: doors had to be dropped, or entries of long sessions, which end early for
        safety's sake (``copied_doors``), want to be renewed."""
        return self._on and (self._overflowed or self._now() - self._made_at > _RENEW_S)

    def start(self) -> None:
        """Begin to write, in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="switch-copy")
            self._news.set()

    async def stop(self, within_s: float = 2.0) -> None:
        """Write what is noted, if the link is up, then stop."""
        if self._task is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.settled()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def settled(self) -> None:
        """Return once nothing is left to write. The deadline is the caller's."""
        while self._waiting or self._clear:
            self._idle.clear()
            await self._idle.wait()

    def metrics(self) -> CopyMetrics:
        oldest = next(iter(self._waiting.values()), None)
        return CopyMetrics(
            waiting=len(self._waiting),
            lag_s=0.0 if oldest is None else max(0.0, self._now() - oldest[0]),
            written=self._written,
            removed=self._removed,
            failed=self._failed,
            refused=self._refused,
            resyncs=self._resyncs,
        )

    # ------------------------------------------------------------ what the session desk says

    def keep(self, session: Session) -> None:
        """The session is live and its terms are these. Of a changed session, ``forget`` the former first."""
        if self._on:
            for key, value in copied_doors(session, self._now(), self._outside).items():
                self._note(key, value)

    def forget(self, session: Session) -> None:
        """The session is over, or not what it was: none of its doors stays in the copy."""
        if self._on:
            for key in copied_doors(session, self._now(), self._outside):
                self._note(key, None)

    async def resync(self, sessions: AsyncIterator[Session]) -> int:
        """Make the copy anew from these sessions, all that are live. How many doors were noted.

        Raises what ``sessions`` raises; the copy is then short of doors, and ``resync`` is due again. A copy
        that is off is emptied.
        """
        if not self._on:
            self._clear = True
            self._news.set()
            return 0
        self._touched = set(self._waiting)
        self._clear = True
        self._news.set()
        count = 0
        try:
            async for session in sessions:
                for key, value in copied_doors(session, self._now(), self._outside).items():
                    if value is not None and key not in self._touched:
                        self._put(key, value)
                        count += 1
        finally:
            self._touched = None
        self._overflowed = False
        self._made_at = self._now()
        self._resyncs += 1
        _log.info("copy.resync", doors=count)
        return count

    def _note(self, key: str, value: str | None) -> None:
        if self._touched is not None:
            self._touched.add(key)
        self._put(key, value)

    def _put(self, key: str, value: str | None) -> None:
        if key not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            self._overflowed = True
            return
        since = self._waiting.get(key, (self._now(), None))[0]
        self._waiting[key] = (since, value)
        self._news.set()

    # ------------------------------------------------------------ the task

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            try:
                done = await self._round()
            except Exception:  # noqa: BLE001  # why: edge of the task; one bad round must not end the copy
                _log.exception("copy.broken")
                done = False
            if not done:
                self._failed += 1
                await self._wait_for_link()
            elif not self._waiting and not self._clear:
                self._news.clear()
                self._idle.set()
            else:
                await asyncio.sleep(self._pause_s)

    async def _wait_for_link(self) -> None:
        await asyncio.sleep(_AGAIN_S)
        with suppress(SwitchUnavailable):
            await self._link.wait_up(_LINK_WAIT_S)

    async def _round(self) -> bool:
        """Write one batch; whether all of it is in the switch."""
        if self._clear:
            if not await self._order(AmiAction("DBDelTree", (("Family", FAMILY),)), _CLEAR_DEADLINE_S):
                return False
            self._clear = False
        batch = [key for key, _ in zip(self._waiting, range(_BATCH), strict=False)]
        return all(await asyncio.gather(*(self._write(key) for key in batch)))

    async def _write(self, key: str) -> bool:
        noted = self._waiting[key]
        where = (("Family", FAMILY), ("Key", key))
        value = noted[1]
        try:
            action = (
                AmiAction("DBDel", where) if value is None else AmiAction("DBPut", (*where, ("Val", value)))
            )
        except UnsafeValue:
            self._refused += 1
            _log.error("copy.unsafe_door")
            self._waiting.pop(key, None)
            return True
        if (value is not None or await self._stands(key)) and not await self._order(action, _DEADLINE_S):
            return False
        if value is None:
            self._removed += 1
        else:
            self._written += 1
        if self._waiting.get(key) is noted and not self._clear:
            # where all is about to be cleared, it is written once more after that
            del self._waiting[key]
        return True

    async def _stands(self, key: str) -> bool:
        """Whether the door may be in the switch. To remove one that is not would be told in the switch's log,
        by its key, which holds a number."""
        look = AmiAction("DBGet", (("Family", FAMILY), ("Key", key)))
        try:
            await self._link.listing(look, deadline_s=_DEADLINE_S)
        except SwitchRefused:
            return False
        except (SwitchUnavailable, OutcomeUnknown):
            return True
        return True

    async def _order(self, action: AmiAction, deadline_s: float) -> bool:
        try:
            await self._link.act(action, deadline_s=deadline_s)
        except SwitchRefused:
            # there is nothing to remove: as good as removed
            if action.name == "DBPut":
                self._refused += 1
                return False
        except (SwitchUnavailable, OutcomeUnknown):
            return False
        return True
