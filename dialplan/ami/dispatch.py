"""The one ordered way from a link to its listener: events, ups and downs in the order they happened.

A bounded queue and a single consumer. The reader never waits for the listener (the switch drops a
session that reads slowly, losing everything since); a listener that cannot keep up loses events, is told
so by a down and an up with ``resync`` set, and must take a new snapshot.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from dialplan.ami.message import Message
from dialplan.ami.metrics import DownReason, Tally

_SLICE = 200
"""Events delivered before the loop gets its turn."""

_log = structlog.get_logger("dialplan.ami")


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Orders may be sent. Events of this connection follow once the listener's ``on_up`` has returned."""

    role: str
    connection_epoch: int
    """1 for the link's first connection; a fact of an older epoch is of a dead connection."""
    boot_epoch: str
    """When the switch started, by its own clock; ``""`` for a role that may not ask."""
    asterisk_version: str
    rebooted: bool = False
    """The switch is not the one we last spoke to: every call it had is gone."""
    resync: bool = False
    """The connection never broke, but events were dropped: take a new snapshot."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """No orders can be sent, or (``DownReason.GAP``) events are missing. ``detail`` is for people."""

    role: str
    connection_epoch: int
    reason: DownReason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears a link. ``on_event`` must be quick; its exceptions are counted and stop nothing."""

    on_event: Callable[[Message], None]
    on_up: Callable[[LinkUp], Awaitable[None]]
    on_down: Callable[[LinkDown], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    at: float
    messages: list[Message]


class Dispatch:
    """The queue and its consumer. ``mono`` gives seconds for the lag, ``up_s`` bounds one ``on_up``."""

    def __init__(
        self, listener: Listener, tally: Tally, *, limit: int, up_s: float, mono: Callable[[], float]
    ) -> None:
        self._listener = listener
        self._tally = tally
        self._limit = limit
        self._up_s = up_s
        self._mono = mono
        self._queue: deque[_Batch | LinkUp | LinkDown] = deque()
        self._held: deque[_Batch] = deque()
        self._oldest_at: float | None = None
        self._up: LinkUp | None = None
        self._wake = asyncio.Event()
        self._closing = False
        self._idle = False
        self._since_turn = 0
        self.queued = 0
        self.gap = False

    @property
    def lag_s(self) -> float:
        """Age of the oldest event not yet delivered, in seconds."""
        oldest = self._oldest_at
        if oldest is None:
            oldest = next((item.at for item in self._queue if isinstance(item, _Batch)), None)
        return 0.0 if oldest is None else self._mono() - oldest

    def events(self, messages: list[Message]) -> None:
        """Take events just read. Before the link is up they are held back until the up is delivered."""
        self._tally.events += len(messages)
        room = 0 if self.gap else self._limit - self.queued
        if len(messages) > room:
            self._tally.dropped += len(messages) - room
            self._open_gap()
            messages = messages[:room]
        if messages and self._idle and not self._queue and self._up is not None and len(messages) <= _SLICE:
            self._deliver_at_once(messages)
        elif messages:
            self.queued += len(messages)
            (self._held if self._up is None else self._queue).append(_Batch(self._mono(), messages))
            self._wake.set()

    def up(self, link_up: LinkUp) -> None:
        """The link is up: tell the listener, then everything that was held back."""
        self._up = link_up
        self._queue.append(link_up)
        self._queue.extend(self._held)
        self._held.clear()
        self._wake.set()

    def down(self, link_down: LinkDown) -> None:
        """The connection is gone. The listener hears of it only if it heard of the up."""
        self.queued -= sum(len(batch.messages) for batch in self._held)
        self._held.clear()
        self.gap = False
        if self._up is not None:
            self._up = None
            self._queue.append(link_down)
            self._wake.set()

    def finish(self) -> None:
        """Let ``run`` return once everything queued has been delivered."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until ``finish`` or cancellation."""
        while True:
            if self._queue:
                await self._deliver(self._queue.popleft())
            elif self.gap and self._up is not None:
                await self._close_gap(self._up)
            elif self._closing:
                return
            else:
                self._wake.clear()
                self._idle = True
                await self._wake.wait()
                self._idle = False
                self._since_turn = 0

    def _open_gap(self) -> None:
        """Before the up there is no gap: the snapshot that the up asks for comes after what was dropped."""
        if self._up is not None and not self.gap:
            self.gap = True
            self._tally.gaps += 1
            self._wake.set()

    async def _close_gap(self, link_up: LinkUp) -> None:
        """From here on events are kept again, so that none can fall between them and the snapshot."""
        self.gap = False
        lost = LinkDown(link_up.role, link_up.connection_epoch, DownReason.GAP, "events were dropped")
        await self._deliver(lost)
        await self._deliver(replace(link_up, rebooted=False, resync=True))

    async def _deliver(self, item: _Batch | LinkUp | LinkDown) -> None:
        if isinstance(item, _Batch):
            await self._deliver_events(item)
            return
        try:
            if isinstance(item, LinkDown):
                self._listener.on_down(item)
            else:
                async with asyncio.timeout(self._up_s):
                    await self._listener.on_up(item)
        except Exception as error:  # noqa: BLE001  # why: a listener's fault must not end the link
            self._count_error(type(item).__name__, error)

    def _deliver_at_once(self, messages: list[Message]) -> None:
        """Nothing waits before these few events: spare them the queue and a turn of the loop."""
        for message in messages:
            self._tell(message)

    def _tell(self, message: Message) -> None:
        try:
            self._listener.on_event(message)
        except Exception as error:  # noqa: BLE001  # why: a listener's fault must not end the link
            self._count_error(message.name, error)

    async def _deliver_events(self, batch: _Batch) -> None:
        self._oldest_at = batch.at
        self._tally.lag_max_s = max(self._tally.lag_max_s, self._mono() - batch.at)
        for message in batch.messages:
            self._tell(message)
            self.queued -= 1
            self._since_turn += 1
            if self._since_turn >= _SLICE:
                self._since_turn = 0
                await asyncio.sleep(0)
        self._oldest_at = None

    def _count_error(self, what: str, error: Exception) -> None:
        """Log the 1st, 2nd, 4th, 8th … error: a listener that always fails must not fill the disk."""
        self._tally.callback_errors = count = self._tally.callback_errors + 1
        if count & (count - 1) == 0:
            _log.error("ami.callback_failed", what=what, count=count, **place_of(error))


def place_of(error: Exception) -> dict[str, str]:
    """Type and place of an exception for a log: its text and its locals may hold telephone numbers."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(error).__name__, "place": place}
