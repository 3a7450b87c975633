"""What the director holds in memory: nothing of a call that is over."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core.heard import Heard, What
from dialplan.core.orders import Hangup
from dialplan.core.routing import Offered
from telephony.ids import ChannelId
from tests.unit.dialplan.desk import (
    ALICE,
    A,
    B,
    open_desk,
    when_originated,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_second_dial_of_a_caller_is_no_leg_of_the_call() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        other = ChannelId("pb-1.3")
        desk.switch.end(B)
        await desk.settle()
        desk.switch.dial(other, by=A)
        await desk.settle()
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [other]
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(call_id)[0] == "completed"
        assert desk.leftovers() == {}


@in_virtual_time
async def test_strangers_events_are_kept_within_a_limit() -> None:
    async with open_desk() as desk:
        for n in range(5000):
            desk.switch.say(Heard(What.ANSWERED, ChannelId(f"x-{n}")))
        assert desk.leftovers() == {"early": 4096}


@in_virtual_time
async def test_two_thousand_calls_leave_nothing_behind() -> None:
    async with open_desk() as desk:

        def ring_and_refuse(channel: ChannelId) -> None:
            desk.switch.dial(channel)
            desk.switch.ring(channel)
            desk.switch.end(channel, 17, 486)

        when_originated(desk, ring_and_refuse)
        for _ in range(100):
            await asyncio.gather(*(desk.place(ALICE) for _ in range(10)))
            for n in range(10):
                a, b = ChannelId(f"in-{len(desk.store)}-{n}"), ChannelId(f"out-{len(desk.store)}-{n}")
                desk.switch.exist(a)
                await desk.director.answer(Offered(a, "1", "", "from-trunk", "carrier"))
                desk.switch.dial(b, by=a)
                desk.switch.answer(b)
                desk.switch.answer(a)
                desk.switch.far_end_hangs_up(b)
                desk.switch.end(a)
            await desk.settle()
        assert len(desk.store) == len(desk.store.cdrs) == 2000
        assert desk.leftovers() == {}
        assert sum(desk.director.tally.ended.values()) == 2000
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert others == []
