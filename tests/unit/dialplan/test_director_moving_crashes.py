"""The director and callers who are taken elsewhere: what survives a crash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialplan.core import orders
from dialplan.core.call import Connect, Rank
from dialplan.core.orders import Redirect
from telephony.errors import OutcomeUnknown
from tests.unit.dialplan.desk import A, B, open_desk
from tests.unit.dialplan.taken_elsewhere import B2, TO_ALICE, asks, rerouting, ringing_elsewhere
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_crash_before_the_order_was_sent() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.fail("redirect", OutcomeUnknown())
        moving = rerouting(desk, call_id)
        await desk.settle()
        moving.cancel()
        director = await desk.crash()
        await director.look(restarted=False)
        await desk.pass_time(6)
        known = director.live(call_id)
        assert known is not None
        assert (known.callee.channel, known.callee.rank) == (B, Rank.UP)
        assert desk.switch.ordered(Redirect) == [], "nothing is sent twice"


@in_virtual_time
async def test_a_crash_between_the_order_and_the_question() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        moving = rerouting(desk, call_id)
        await desk.settle()
        moving.cancel()
        director = await desk.crash()
        await director.look(restarted=False)
        assert await asks(desk) == replace(TO_ALICE, ring_s=20)
        desk.switch.dial(B2, by=A)
        desk.switch.answer(B2)
        await desk.settle()
        known = director.live(call_id)
        assert known is not None
        assert known.move is not None
        assert known.move.outcome == "completed"


@in_virtual_time
async def test_a_crash_while_it_rings_and_an_answer_that_nobody_heard() -> None:
    async with open_desk() as desk:
        call_id, moving = await ringing_elsewhere(desk)
        moving.cancel()
        desk.switch.listening = False
        director = await desk.crash()
        desk.switch.answer(B2)
        desk.switch.listening = True
        await director.look(restarted=False)
        await desk.settle()
        known = director.live(call_id)
        assert known is not None
        assert (known.callee.channel, known.callee.rank) == (B2, Rank.UP)


@in_virtual_time
async def test_a_newcomer_that_nobody_heard_being_dialled_is_not_taken_for_the_one_who_left() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.obeys = False  # B lives on for a while
        moving = rerouting(desk, call_id)
        await desk.settle()
        assert isinstance(await asks(desk), Connect)
        moving.cancel()
        desk.switch.listening = False
        director = await desk.crash()
        desk.switch.dial(B2, by=A)
        desk.switch.listening = True
        await director.look(restarted=False)
        await desk.settle()
        known = director.live(call_id)
        assert known is not None
        assert (known.callee.channel, known.former[0].leg.channel) == (B2, B)
        await desk.pass_time(4)
        assert [order.channel for order in desk.switch.orders if isinstance(order, orders.Hangup)] == [B]


@in_virtual_time
async def test_all_channels_gone_after_a_crash() -> None:
    async with open_desk() as desk:
        call_id, moving = await ringing_elsewhere(desk)
        moving.cancel()
        director = await desk.crash()
        desk.switch.restart()
        await director.look(restarted=True)
        await desk.settle()
        assert desk.ended(call_id) == ("completed", "server_error/switch_restarted")
