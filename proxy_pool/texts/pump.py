"""The pump: takes queued texts lane by lane, at each carrier's pace, until they are sent or over.

A lane is one number over one carrier. It has a token bucket (so many texts a second, a short burst), and it
pauses as a whole when its carrier throttles it or cannot be reached, longer each time, with jitter: nothing
hammers. Texts of one conversation leave in order; a text that must wait holds its followers. There are no
priorities: a stop word's answer takes its turn, which a conversation never keeps waiting long.

At least once: a text whose sender died in between is sent again when the claim runs out, and one whose
answer was lost is sent again as well; the carrier gets our id with it, to drop the second one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from proxy_pool.core.text import ReceiptState
from proxy_pool.texts.ports import (
    CarrierRefused,
    CarrierThrottled,
    CarrierUnreachable,
    Lane,
    MediaLinks,
    Outgoing,
    Over,
    Pace,
    Sender,
    Sending,
    SentOff,
    TextOutbox,
    TryLater,
    wire_text,
)
from telephony.errors import OutcomeUnknown, PatchbayError

BACKOFF_S: Final = (2.0, 5.0, 15.0, 60.0, 180.0, 600.0)
"""The pause after the first, second … failure in a row, before jitter of a fifth."""
MAX_ATTEMPTS: Final = 12
"""Attempts that failed by the text's own fault, or whose outcome is unknown; a lane's pauses do not count."""
_log = structlog.get_logger("proxy_pool.texts")


@dataclass(frozen=True, slots=True)
class PumpPace:
    """``send_s`` bounds one attempt; ``claim_s`` outlasts it by far; ``lanes_at_once`` bounds what is sent at
    the same time. A bucket holds a second's worth of texts, at most ``batch``."""

    poll_s: float = 1.0
    tend_s: float = 5.0
    send_s: float = 20.0
    claim_s: float = 90.0
    batch: int = 32
    lanes_at_once: int = 64

    def __post_init__(self) -> None:
        if self.claim_s < 2 * self.send_s:
            raise ValueError("a claim must outlast two attempts")


@dataclass(slots=True)
class _LaneState:
    """``tokens`` may be spent at once, ``at`` is when they were counted; failures in a row pause the lane."""

    tokens: float
    at: float
    failures: int = 0
    paused_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Chances:
    """``now`` is epoch seconds, ``rng`` gives numbers in [0, 1)."""

    now: Callable[[], float]
    rng: Callable[[], float]


class TextPump:
    """Sends texts until stopped. ``notify`` after a text was queued makes its first attempt immediate."""

    def __init__(
        self,
        store: TextOutbox,
        sender: Sender,
        pace_of: Pace,
        chances: Chances,
        links: MediaLinks | None = None,
        pace: PumpPace | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._pace_of = pace_of
        self._chances = chances
        self._links = links
        self._pace = pace or PumpPace()
        self._lanes: dict[Lane, _LaneState] = {}
        self._gate = asyncio.Semaphore(self._pace.lanes_at_once)
        self._busy: dict[Lane, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._tended_at = 0.0
        self.counts: Counter[str] = Counter()

    async def start(self) -> None:
        self._wake.set()
        self._loop = asyncio.create_task(self._run(), name="text-pump")

    def notify(self) -> None:
        """There is work, now."""
        self._wake.set()

    async def stop(self) -> None:
        """Send no more. What is cut off is sent again when its claim runs out."""
        loop, self._loop = self._loop, None
        ending = [*self._busy.values(), *([] if loop is None else [loop])]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._tend()
                wait_s = await self._begin_due()
            except PatchbayError as error:
                _log.warning("texts.storage_unavailable", code=error.code)
                wait_s = self._pace.poll_s
            await self._pause(min(max(wait_s, 0.001), self._pace.poll_s))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _tend(self) -> None:
        now = self._chances.now()
        if now - self._tended_at >= self._pace.tend_s:
            self._tended_at = now
            self.counts["expired"] += await self._store.tend(now)

    async def send_due(self) -> None:
        """Send what may be sent now, and wait for it."""
        await self._begin_due()
        if self._busy:
            await asyncio.wait(tuple(self._busy.values()))

    async def _begin_due(self) -> float:
        """Begin to send what may be sent now; after how many seconds it is worth to look again.

        A lane that is being sent from is left alone: a slow carrier keeps nobody else waiting.
        """
        now = self._chances.now()
        due = [lane for lane in await self._store.lanes(now) if lane not in self._busy]
        self._forget_idle(due, now)
        waits = []
        for lane in due:
            wait_s = self._wait_s(lane, now)
            if wait_s > 0:
                waits.append(wait_s)
                continue
            task = self._busy[lane] = asyncio.create_task(self._send_lane(lane), name="text-lane")
            task.add_done_callback(partial(self._ended, lane))
        return min(waits, default=self._pace.poll_s)

    def _ended(self, lane: Lane, _: asyncio.Task[None]) -> None:
        del self._busy[lane]
        self._wake.set()

    def _forget_idle(self, due: Iterable[Lane], now: float) -> None:
        wanted = {*due, *self._busy}
        for lane in [one for one in self._lanes if one not in wanted]:
            state = self._state(lane, now)
            if state.tokens >= self._most(lane) and state.paused_until <= now:
                del self._lanes[lane]

    # ------------------------------------------------------------ one lane

    def _state(self, lane: Lane, now: float) -> _LaneState:
        """The lane's bucket, filled up to this moment."""
        state = self._lanes.setdefault(lane, _LaneState(self._most(lane), now))
        state.tokens = min(self._most(lane), state.tokens + max(0.0, now - state.at) * self._rate(lane))
        state.at = max(state.at, now)
        return state

    def _rate(self, lane: Lane) -> float:
        return max(self._pace_of(lane.carrier), 0.001)

    def _most(self, lane: Lane) -> float:
        return max(1.0, min(self._rate(lane), float(self._pace.batch)))

    def _wait_s(self, lane: Lane, now: float) -> float:
        state = self._state(lane, now)
        missing = max(0.0, 1.0 - state.tokens) / self._rate(lane)
        return max(state.paused_until - now, missing if missing > 1e-9 else 0.0)

    async def _send_lane(self, lane: Lane) -> None:
        try:
            async with self._gate:
                now = self._chances.now()
                room = int(self._state(lane, now).tokens + 1e-9)
                claimed = await self._store.claim_out(lane, now, now + self._pace.claim_s, max(room, 1))
                await asyncio.gather(*(self._one(lane, one) for one in claimed))
        except PatchbayError as error:  # the claims run out, and the texts come again
            _log.warning("texts.storage_unavailable", code=error.code)

    async def _one(self, lane: Lane, one: Outgoing) -> None:
        """Texts claimed together belong to different conversations: their order is nobody's."""
        now = self._chances.now()
        state = self._state(lane, now)
        if one.expires_at <= now:
            await self._settle(one, Over(ReceiptState.EXPIRED, "not_sent_in_time"))
            return
        state.tokens -= 1.0
        await self._settle(one, await self._attempt(lane, one))

    async def _settle(self, one: Outgoing, sending: Sending) -> None:
        self.counts[type(sending).__name__] += 1
        await self._store.settle_out(one, sending, self._chances.now())

    async def _attempt(self, lane: Lane, one: Outgoing) -> Sending:
        links = self._links
        now = self._chances.now()
        media = () if links is None else tuple(links.link(kept, now) for kept in one.media)
        try:
            async with asyncio.timeout(self._pace.send_s):
                sent = await self._sender.send(wire_text(one, media), lane.carrier)
        except CarrierThrottled as error:
            return self._lane_failed(lane, error.retry_after_s, "throttled")
        except CarrierUnreachable:
            return self._lane_failed(lane, 0.0, "unreachable")
        except CarrierRefused as error:
            if error.permanent:
                return Over(ReceiptState.FAILED, error.reason[:120])
            return self._text_failed(one, error.reason[:120])
        except (OutcomeUnknown, TimeoutError):
            return self._text_failed(one, "outcome_unknown")
        except PatchbayError as error:
            return Over(ReceiptState.FAILED, error.code.lower())
        except Exception as error:  # noqa: BLE001 # why: the edge of an attempt; the text must be settled
            _log.error("texts.sender_broke", message_id=one.id, kind=type(error).__name__)
            return self._text_failed(one, "sender_broke")
        self._state(lane, now).failures = 0
        return SentOff(sent.provider_id)

    def _lane_failed(self, lane: Lane, asked_s: float, why: str) -> Sending:
        """The whole lane waits, however many texts it has: at least as long as the carrier asks."""
        now = self._chances.now()
        state = self._state(lane, now)
        pause = max(min(asked_s, 3600.0), self._backoff(state.failures))
        if state.paused_until <= now:  # several texts of one burst fail together: one failure
            state.failures += 1
            _log.warning("texts.lane_paused", carrier=lane.carrier, why=why, seconds=round(pause, 1))
        state.paused_until = max(state.paused_until, now + pause)
        return TryLater(state.paused_until, why, attempted=False)

    def _text_failed(self, one: Outgoing, why: str) -> Sending:
        if one.attempts + 1 >= MAX_ATTEMPTS:
            return Over(ReceiptState.FAILED, why)
        return TryLater(self._chances.now() + self._backoff(one.attempts), why)

    def _backoff(self, failures: int) -> float:
        return BACKOFF_S[min(failures, len(BACKOFF_S) - 1)] * (0.9 + 0.2 * self._chances.rng())
