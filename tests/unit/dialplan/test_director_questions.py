"""The routing question: one answer to each channel, whoever asks, however often."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core import orders
from dialplan.core.call import Reject
from dialplan.core.routing import Offered
from tests.unit.dialplan.desk import (
    OFFERED,
    B,
    open_desk,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_question_after_the_cancel_is_turned_down() -> None:
    async with open_desk() as desk:
        desk.switch.obeys = False
        call, channel = await desk.dialled()
        waiting = asyncio.create_task(desk.director.hang_up(call.id))
        await desk.settle()
        desk.switch.answer(channel)
        reply = await desk.ask(channel)
        assert isinstance(reply, orders.Reply)
        assert isinstance(reply.route, Reject)
        desk.switch.end(channel)
        await waiting
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")


@in_virtual_time
async def test_nobodys_number_is_turned_away_and_nothing_is_stored() -> None:
    async with open_desk(route=None) as desk:
        assert await desk.director.answer(OFFERED) == 1
        assert len(desk.store) == 0
        assert desk.director.tally.turned_away == 1


@in_virtual_time
async def test_a_second_question_of_the_same_channel_is_turned_away() -> None:
    async with open_desk() as desk:
        gate = desk.store.hold()
        first = asyncio.create_task(desk.director.answer(OFFERED))
        await desk.settle()
        assert await desk.director.answer(OFFERED) == 16
        gate.set()
        reply = await first
        assert isinstance(reply, orders.Reply)
        assert await desk.director.answer(OFFERED) == 16
        assert len(desk.store) == 1


@in_virtual_time
async def test_two_questions_at_once_for_a_placed_call_one_is_answered() -> None:
    async with open_desk() as desk:
        _, channel = await desk.dialled()
        desk.switch.answer(channel)
        gate = desk.store.hold()
        first = asyncio.create_task(desk.ask(channel))
        await desk.settle()
        second = asyncio.create_task(desk.ask(channel))
        await desk.settle()
        gate.set()
        replies = await asyncio.gather(first, second)
        assert [isinstance(reply, orders.Reply) for reply in replies] == [True, False]
        assert replies[1] == 16
        assert "questions" not in desk.leftovers()


@in_virtual_time
async def test_a_callee_may_not_ask() -> None:
    async with open_desk() as desk:
        await desk.inbound_talking()
        assert await desk.director.answer(Offered(B, "1", "", "from-phone", "x")) == 16


@in_virtual_time
async def test_a_question_given_up_leaves_the_call_to_its_deadlines() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.store.go_away()
        desk.switch.answer(channel)
        with pytest.raises(TimeoutError):
            await desk.ask(channel)
        assert "questions" not in desk.leftovers()
        desk.store.return_()
        desk.switch.end(channel)
        await desk.pass_time(30)
        assert desk.ended(call.id)[0] == "completed"
