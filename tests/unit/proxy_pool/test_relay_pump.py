"""The pump keeps each carrier's pace, backs off, and lets no lane hold another."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from proxy_pool.core.relay import Draft
from proxy_pool.core.text import InboundText, OutboundText, Receipt, ReceiptState
from proxy_pool.fakes import MemoryInteractions, MemoryLedger
from proxy_pool.texts.fakes import FakeSender, MemoryTexts
from proxy_pool.texts.ports import (
    Arrived,
    CarrierRefused,
    CarrierThrottled,
    CarrierUnreachable,
    Judged,
    Outbound,
    SentAs,
)
from proxy_pool.texts.pump import BACKOFF_S, MAX_ATTEMPTS, Chances, PumpPace, TextPump
from telephony.errors import NotFound, OutcomeUnknown, PatchbayError
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

OURS = TenantId("ten_ours")
X, Y = E164("+14155550100"), E164("+14155550101")


def person(number: int) -> E164:
    return E164(f"+1303555{number:04d}")


class World:
    """A store, a carrier and a clock that moves when it is told to."""

    def __init__(self, per_second: float = 1.0) -> None:
        self.store = MemoryTexts(MemoryInteractions(), MemoryLedger())
        self.sender = FakeSender()
        self.now = 1000.0
        self.per_second = per_second
        self.pump = self.new_pump()
        self._made = 0

    def new_pump(self, sender: object = None) -> TextPump:
        chances = Chances(lambda: self.now, lambda: 0.5)
        return TextPump(self.store, sender or self.sender, lambda carrier: self.per_second, chances)  # type: ignore[arg-type]

    async def queue(self, to: E164, sender: E164 = X, carrier: str = "sim", body: str = "hi") -> str:
        self._made += 1
        name = f"msg_{self._made:03d}"
        came = InboundText(carrier, name, f"+1999555{self._made:04d}", sender, "x")
        await self.store.take_in([Arrived(name, came)], (), self.now)
        (incoming,) = await self.store.claim_in(self.now, self.now + 60, 10)
        outbound = Outbound(name, OURS, Draft(carrier, sender, to, body), self.now + 14_400)
        await self.store.settle_in(incoming, Judged("relayed", outbound=outbound), self.now)
        return name

    async def run(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, with the pump looking at each step."""
        end = self.now + seconds
        while self.now < end:
            await self.pump.send_due()
            self.now += step

    @property
    def sent(self) -> list[str]:
        return [one.id for _, one in self.sender.sent]


async def test_a_lane_sends_at_its_pace_and_another_lane_at_its_own():
    world = World(per_second=2.0)
    for n in range(40):
        await world.queue(person(n), X)
        await world.queue(person(n), Y)
    await world.run(5.0)
    by_lane = [one.sender for _, one in world.sender.sent]
    assert 10 <= by_lane.count(X) <= 12
    assert 10 <= by_lane.count(Y) <= 12


async def test_a_slow_pace_still_sends_the_first_text_at_once():
    world = World(per_second=0.1)
    await world.queue(person(1))
    await world.queue(person(2))
    await world.run(9.0)
    assert len(world.sent) == 1
    await world.run(2.0)
    assert len(world.sent) == 2


async def test_a_throttled_lane_rests_as_long_as_it_is_asked_and_others_go_on():
    world = World()
    world.sender.answers = [CarrierThrottled(30.0)]
    await world.queue(person(1), X)
    await world.pump.send_due()
    await world.queue(person(2), X)
    await world.queue(person(3), Y)
    await world.run(29.0)
    assert world.sent == ["msg_003"]
    assert world.sender.tried == 2, "429 is not hammered"
    await world.run(4.0)
    assert sorted(world.sent) == ["msg_001", "msg_002", "msg_003"]


async def test_a_lane_that_goes_on_failing_rests_longer_each_time():
    world = World()
    world.sender.answers = [CarrierUnreachable() for _ in range(4)]
    await world.queue(person(1))
    tried = []
    for _ in range(400):
        before = world.sender.tried
        await world.pump.send_due()
        tried += [world.now] * (world.sender.tried - before)
        world.now += 0.5
    gaps = [after - before for before, after in pairwise(tried)]
    assert len(tried) == 5
    assert all(abs(gap - wanted) <= 0.5 for gap, wanted in zip(gaps, BACKOFF_S, strict=False))
    assert world.sent == ["msg_001"]


async def test_what_keeps_failing_by_itself_is_given_up_and_its_followers_go():
    world = World()
    world.sender.answers = [OutcomeUnknown() for _ in range(MAX_ATTEMPTS)]
    await world.queue(person(1))
    second = await world.queue(person(1))
    await world.run(4 * 3600.0, step=30.0)
    assert world.sender.tried == MAX_ATTEMPTS + 1
    assert world.sent == [second]


@pytest.mark.parametrize("error", [CarrierRefused("21211", permanent=True), NotFound(), PatchbayError()])
async def test_a_refusal_for_good_is_not_tried_again(error: PatchbayError):
    world = World()
    world.sender.answers = [error]
    await world.queue(person(1))
    await world.run(60.0, step=5.0)
    assert world.sender.tried == 1


async def test_a_passing_refusal_is_tried_again():
    world = World()
    world.sender.answers = [CarrierRefused("busy", permanent=False)]
    await world.queue(person(1))
    await world.run(10.0)
    assert world.sent == ["msg_001"]


class StuckSender:
    """Never answers for one number."""

    def __init__(self, taken: list[str]) -> None:
        self.taken = taken

    async def send(self, text: OutboundText, carrier: str) -> SentAs:
        if text.sender == X:
            await asyncio.Event().wait()
        self.taken.append(text.id)
        return SentAs(f"p-{text.id}")


async def test_a_carrier_that_does_not_answer_keeps_no_other_lane_waiting():
    world = World(per_second=100.0)
    taken: list[str] = []
    pump = world.new_pump(StuckSender(taken))
    stuck = await world.queue(person(1), X)
    free = [await world.queue(person(n), Y) for n in range(2, 6)]
    await pump.start()
    async with asyncio.timeout(10):
        while len(taken) < len(free):  # noqa: ASYNC110 # why: the condition is in a fake
            await asyncio.sleep(0)
    await pump.stop()
    assert sorted(taken) == free
    assert stuck not in taken


async def test_what_was_cut_off_by_stopping_is_sent_by_the_next_pump():
    world = World(per_second=100.0)
    pump = world.new_pump(StuckSender([]))
    name = await world.queue(person(1), X)
    await pump.start()
    async with asyncio.timeout(10):
        while not pump._busy:  # noqa: ASYNC110 # why: the condition is in the pump
            await asyncio.sleep(0)
    await pump.stop()
    world.now += PumpPace().claim_s
    await world.run(1.0)
    assert world.sent == [name]


async def test_the_loop_survives_a_database_that_is_away():
    world = World(per_second=100.0)
    world.store.away = True
    await world.pump.start()
    for _ in range(20):
        await asyncio.sleep(0)
    world.store.away = False
    name = await world.queue(person(1))
    world.pump.notify()
    async with asyncio.timeout(10):
        while world.sent != [name]:
            world.pump.notify()
            await asyncio.sleep(0)
    await world.pump.stop()


async def test_receipts_find_what_the_pump_sent():
    world = World()
    await world.queue(person(1))
    await world.run(1.0)
    await world.store.take_in((), [Receipt("sim", "prov-1", ReceiptState.DELIVERED)], world.now)
    assert (await world.store.lanes(world.now)) == []
