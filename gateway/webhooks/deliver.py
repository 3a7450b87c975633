"""Empties the outbox: claims due deliveries, sends them, records what became of each.

Three loops joined by events. The pump claims lane by lane, as much as each receiver may be sent now; one
task per attempt sends; the clerk writes outcomes in batches. Receivers share nothing but the process:
each lane has its own bound and its own circuit, and a lane with nothing in flight may always start one
attempt, so no number of slow receivers can keep another from its first attempt.

At least once: what is claimed and not settled, because this process died, is due again when the claim
runs out. ``notify`` after the commit makes the first attempt immediate; the poll is for retries, for
other processes' events, and for what a crash left behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from gateway.webhooks.core.backoff import Answer, NoReply, TryAgain, is_strain, judge
from gateway.webhooks.core.delivery import Delivery, Ending, Settlement, settlement
from gateway.webhooks.core.lanes import (
    HEALTHY,
    Health,
    LaneQueue,
    after_answer,
    after_pause,
    after_strain,
    allowance,
)
from gateway.webhooks.core.signing import signatures
from gateway.webhooks.ports import Outbox, Poster
from telephony.clock import Clock
from telephony.errors import Unavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """``per_lane`` bounds attempts in flight to one receiver, ``at_once`` those to all; ``ahead`` is how
    many of a lane are held in memory; ``claim_s`` must exceed a chain of slow attempts."""

    per_lane: int = 32
    at_once: int = 512
    ahead: int = 128
    claim_max: int = 512
    claim_s: float = 60.0
    attempt_s: float = 15.0
    poll_s: float = 1.0
    keep_s: float = 30 * 86_400.0
    purge_every_s: float = 3_600.0
    purge_batch: int = 500
    retry_storage_s: float = 0.5

    def __post_init__(self) -> None:
        if self.claim_s < 2 * self.attempt_s:
            raise ValueError("a claim must outlast two attempts")


@dataclass(slots=True)
class DeliveryCounts:
    """What was done since the start, for metrics."""

    attempts: int = 0
    delivered: int = 0
    retried: int = 0
    dead: int = 0
    returned: int = 0
    in_flight: int = 0

    def add(self, verdict: Ending) -> None:
        """Count one more outcome."""
        match verdict:
            case "delivered":
                self.delivered += 1
            case "retry":
                self.retried += 1
            case "dead":
                self.dead += 1
            case "returned":
                self.returned += 1


@dataclass(slots=True, eq=False)
class _Lane:
    name: str
    queue: LaneQueue[Delivery] = field(default_factory=LaneQueue)
    health: Health = HEALTHY
    crowded: bool = False


class Deliverer:
    """Sends webhooks until stopped. Owned by one event loop; ``rng`` gives numbers in [0, 1)."""

    def __init__(
        self,
        outbox: Outbox,
        http: Poster,
        clock: Clock,
        rng: Callable[[], float],
        settings: DeliverySettings = DeliverySettings(),
    ) -> None:
        self.counts = DeliveryCounts()
        self._outbox = outbox
        self._http = http
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._lanes: dict[str, _Lane] = {}
        self._wanted: dict[str, None] = {}
        self._look = True
        self._wake = asyncio.Event()
        self._crowd: deque[_Lane] = deque()
        self._attempts: set[asyncio.Task[None]] = set()
        self._done: list[Settlement] = []
        self._written = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next_purge = 0.0
        self._closing = False
        self._all_ended = False

    async def start(self) -> None:
        self._tick()
        self._loops = [
            asyncio.create_task(self._pump(), name="webhook-pump"),
            asyncio.create_task(self._clerk(), name="webhook-clerk"),
        ]

    def notify(self, lanes: Iterable[str] | None = None) -> None:
        """There is work: in these lanes (what ``fan_out`` returned), or somewhere. Call after the commit."""
        if lanes is None:
            self._look = True
        else:
            self._wanted.update(dict.fromkeys(lanes))
        if self._look or self._wanted:
            self._wake.set()

    async def stop(self, grace_s: float = 5.0, record_s: float = 5.0) -> None:
        """Claim no more, let attempts in flight end within ``grace_s``, give the rest back, and record all of
        it within ``record_s`` more: what is not recorded is sent again once its claim has run out."""
        if not self._loops:
            return
        pump, clerk = self._loops
        self._loops = []
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake.set()
        await asyncio.wait([pump], timeout=grace_s)
        await _cancelled(pump)
        for lane in self._lanes.values():
            self._give_back(lane)
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=grace_s)
        for attempt in tuple(self._attempts):
            await _cancelled(attempt)
        self._all_ended = True
        self._written.set()
        await asyncio.wait([clerk], timeout=record_s)
        await _cancelled(clerk)

    def _tick(self) -> None:
        self._look = True
        self._wake.set()
        self._timer = asyncio.get_running_loop().call_later(self._settings.poll_s, self._tick)

    # The pump: from the outbox into lanes.

    async def _pump(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            try:
                if self._look:
                    self._look = False
                    await self._find_lanes()
                    await self._purge()
                await self._claim()
            except Exception as error:  # noqa: BLE001 # why: the edge of the pump's loop; it must go on for ever
                log.warning("webhook.outbox_unavailable", kind=type(error).__name__)
                await asyncio.sleep(self._settings.retry_storage_s)
                self.notify()

    async def _find_lanes(self) -> None:
        now = self._now()
        for name, earliest in await self._outbox.waiting():
            if earliest <= now:
                self._wanted[name] = None
        for lane in [lane for lane in self._lanes.values() if self._is_idle(lane)]:
            del self._lanes[lane.name]

    def _is_idle(self, lane: _Lane) -> bool:
        busy = lane.queue.in_flight or len(lane.queue) or lane.name in self._wanted
        return not busy and lane.health == HEALTHY

    async def _purge(self) -> None:
        """Drop what is older than ``keep_s``, a batch at a time."""
        if self._clock.mono() < self._next_purge:
            return
        before = self._now() - self._settings.keep_s
        dropped = await self._outbox.purge(before, self._settings.purge_batch)
        if dropped < self._settings.purge_batch:
            self._next_purge = self._clock.mono() + self._settings.purge_every_s

    async def _claim(self) -> None:
        rooms = self._rooms()
        if not rooms:
            return
        for name in rooms:
            del self._wanted[name]
        now = self._now()
        try:
            claimed = await self._outbox.claim(rooms, now, now + self._settings.claim_s)
        except BaseException:  # why: cancelled too, what was wanted is wanted still
            self._wanted.update(dict.fromkeys(rooms))
            raise
        for delivery in claimed:
            self._lane(delivery.lane).queue.put(delivery)
            rooms[delivery.lane] -= 1
        for name, left in rooms.items():
            if left == 0:  # there may be more: its turn comes again after the others'
                self._wanted[name] = None
                self._wake.set()
            self._go_on(self._lane(name))

    def _rooms(self) -> dict[str, int]:
        """How many to claim for each lane that wants some and may be sent some now."""
        rooms: dict[str, int] = {}
        left = self._settings.claim_max
        for name in self._wanted:
            room = min(self._room(self._lane(name)), left)
            if room > 0:
                rooms[name] = room
                left -= room
            if left <= 0:
                break
        return rooms

    def _room(self, lane: _Lane) -> int:
        allowed = allowance(lane.health, self._clock.mono(), self._settings.per_lane)
        held = lane.queue.in_flight + len(lane.queue)
        if allowed < self._settings.per_lane:
            return allowed - held
        room = self._settings.ahead - held
        return room if 2 * room >= self._settings.ahead else 0  # claims in bulk, not one by one

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name)
        return lane

    # Attempts: from lanes to receivers.

    def _go_on(self, lane: _Lane) -> None:
        """Start what this lane may have in flight now; return the rest if that is nothing."""
        allowed = allowance(lane.health, self._clock.mono(), self._settings.per_lane)
        if allowed == 0 or self._closing:
            self._give_back(lane)
            return
        while lane.queue.in_flight < allowed:
            if self.counts.in_flight >= self._settings.at_once and lane.queue.in_flight > 0:
                self._wait_in_crowd(lane)
                return
            delivery = lane.queue.take()
            if delivery is None:
                return
            self.counts.in_flight += 1
            task = asyncio.create_task(self._attempt(lane, delivery))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    def _wait_in_crowd(self, lane: _Lane) -> None:
        if not lane.crowded and len(lane.queue):
            lane.crowded = True
            self._crowd.append(lane)

    async def _attempt(self, lane: _Lane, delivery: Delivery) -> None:
        now = self._now()
        outcome = Settlement(delivery, "returned", now)
        try:
            if now + self._settings.attempt_s <= delivery.claimed_until:
                outcome = await self._send(lane, delivery, now)
        finally:
            self._finished(lane, delivery, outcome)

    async def _send(self, lane: _Lane, delivery: Delivery, now: float) -> Settlement:
        self.counts.attempts += 1
        started = self._clock.mono()
        answer = await self._answer(delivery, int(now))
        ended, now = self._clock.mono(), self._now()
        verdict = judge(answer, delivery.attempts + 1, now, self._rng())
        lane.health = (after_strain if is_strain(answer) else after_answer)(lane.health, ended)
        if isinstance(verdict, TryAgain) and verdict.pause_s > 0:
            lane.health = after_pause(lane.health, ended, verdict.pause_s)
        return settlement(delivery, answer, verdict, now, round((ended - started) * 1000))

    async def _answer(self, delivery: Delivery, stamp: int) -> Answer:
        try:
            headers = signatures(delivery.secrets, delivery.event_id, stamp, delivery.body)
            headers["Content-Type"] = "application/json"
            return await self._http.post(delivery.url, headers, delivery.body)
        except Exception as error:  # noqa: BLE001 # why: the edge of an attempt; it must be settled whatever happened
            log.error("webhook.attempt_broke", delivery_id=delivery.id, kind=type(error).__name__)
            return NoReply("protocol", f"internal: {type(error).__name__}")

    def _finished(self, lane: _Lane, delivery: Delivery, outcome: Settlement) -> None:
        self.counts.in_flight -= 1
        lane.queue.finished(delivery)
        self._record(outcome)
        if self._crowd:  # the free slot goes to those who waited for it, then to this lane
            next_lane = self._crowd.popleft()
            next_lane.crowded = False
            self._go_on(next_lane)
        self._go_on(lane)
        if lane.name in self._wanted and self._room(lane) > 0:
            self._wake.set()

    def _give_back(self, lane: _Lane) -> None:
        """Return what waits for this receiver, e.g. because its circuit opened: it stays due."""
        for delivery in lane.queue.drain():
            self._record(Settlement(delivery, "returned", self._now()))

    # The clerk: from outcomes into the outbox.

    def _record(self, outcome: Settlement) -> None:
        self.counts.add(outcome.verdict)
        self._done.append(outcome)
        self._written.set()

    async def _clerk(self) -> None:
        while self._done or not self._all_ended:
            await self._written.wait()
            self._written.clear()
            batch, self._done = self._done, []
            if batch:
                await self._settle(batch)

    async def _settle(self, batch: list[Settlement]) -> None:
        """Record a batch, however often the database has to be asked."""
        while True:
            try:
                switched_off = await self._outbox.settle(batch)
                break
            except Unavailable as error:
                log.warning("webhook.outbox_unavailable", code=error.code, outcomes=len(batch))
                await asyncio.sleep(self._settings.retry_storage_s)
            except Exception:  # why: the edge of the clerk's loop; the claims run out and are sent again
                log.exception("webhook.outcomes_lost", outcomes=len(batch))
                return
        self.notify({one.delivery.lane for one in batch if one.verdict == "returned"})  # due from here on
        for off in switched_off:
            log.warning("webhook.endpoint_disabled", endpoint_id=off.endpoint_id, reason=off.reason)
            self.notify(off.lanes)

    def _now(self) -> float:
        return self._clock.wall().timestamp()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
