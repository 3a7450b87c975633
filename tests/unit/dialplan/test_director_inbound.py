"""Inbound calls, and events that come before or after their time."""

from __future__ import annotations

import pytest

from dialplan.core import orders
from dialplan.core.call import Rank, Reject
from dialplan.core.heard import Heard, What
from dialplan.core.orders import Hangup
from tests.unit.dialplan.desk import (
    OFFERED,
    A,
    B,
    open_desk,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_route_that_rejects_is_a_call_with_an_end() -> None:
    async with open_desk(route=Reject(17, "rejected_by_route"), record=True) as desk:
        call_id = await desk.offered()
        desk.switch.end(A, 17)
        await desk.settle()
        assert desk.ended(call_id) == ("failed", "client_error/rejected_by_route")
        assert desk.archive.filed == []


@in_virtual_time
async def test_an_inbound_call_that_is_answered() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.far_end_hangs_up(A)
        desk.switch.end(B)
        await desk.settle()
        assert desk.ended(call_id) == ("completed", "success/hangup_by_caller")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_the_caller_gives_up_while_the_callee_rings() -> None:
    async with open_desk() as desk:
        call_id = await desk.offered()
        desk.switch.dial(B, by=A)
        desk.switch.ring(B)
        desk.switch.say(Heard(What.END_REQUESTED, A))
        desk.switch.end(B)
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(call_id) == ("cancelled", "cancelled/cancelled_by_caller")


@in_virtual_time
async def test_a_callee_that_the_switch_forgets_is_hung_up_after_its_caller() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.far_end_hangs_up(A)
        await desk.pass_time(1.9)
        assert desk.switch.ordered(Hangup) == []
        await desk.pass_time(0.2)
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [B]
        assert desk.ended(call_id) == ("completed", "success/hangup_by_caller")


@in_virtual_time
async def test_a_hangup_before_the_question_was_judged() -> None:
    async with open_desk() as desk:
        desk.switch.say(Heard(What.END_REQUESTED, A))
        desk.switch.say(Heard(What.HUNG_UP, A, cause=16))
        reply = await desk.director.answer(OFFERED)
        assert isinstance(reply, orders.Reply)
        await desk.settle()
        assert desk.ended(reply.call_id) == ("cancelled", "cancelled/cancelled_by_caller")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_the_callees_events_may_come_before_its_dial_begin() -> None:
    async with open_desk() as desk:
        call_id = await desk.offered()
        desk.switch.ring(B)
        desk.switch.answer(B)
        desk.switch.dial(B, by=A)
        await desk.settle()
        call = desk.director.live(call_id)
        assert call is not None
        assert call.callee.channel == B
        # The ring and the answer were kept, and follow the channel into the call.
        assert call.callee.rank is Rank.UP


@in_virtual_time
async def test_a_dial_for_a_call_that_is_over_is_an_orphan() -> None:
    async with open_desk() as desk:
        call_id = await desk.offered()
        desk.switch.far_end_hangs_up(A)
        await desk.settle()
        assert desk.ended(call_id)[0] == "cancelled"
        desk.switch.dial(B, by=A)
        await desk.settle()
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [B]
        assert desk.switch.channels == {}
        assert desk.director.tally.orphans == 1
