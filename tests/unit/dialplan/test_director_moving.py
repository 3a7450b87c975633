"""The director and callers who are taken elsewhere: who is asked what, and what cannot be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dialplan.core import orders
from dialplan.core.call import Call, Connect, Later, Rank, Reject, Trunk
from dialplan.core.heard import Heard, What
from dialplan.core.orders import Redirect
from dialplan.core.routing import RouteFacts
from dialplan.lines import Lines
from telephony.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    SwitchRefused,
    SwitchUnavailable,
    TooMany,
)
from telephony.ids import CallId
from telephony.numbers import E164
from tests.unit.dialplan.desk import CLI, FAR, OURS, A, B, open_desk
from tests.unit.dialplan.taken_elsewhere import (
    AGENT,
    B2,
    TO_AGENT,
    TO_ALICE,
    asks,
    rerouting,
    ringing_elsewhere,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

BUSY = Heard(What.HUNG_UP, B2, cause=17, sip=486)


@in_virtual_time
async def test_the_caller_is_taken_to_somebody_who_answers() -> None:
    async with open_desk() as desk:
        call_id, moving = await ringing_elsewhere(desk)
        assert desk.switch.ordered(Redirect) == [Redirect(A)]
        assert B not in desk.switch.channels
        desk.switch.answer(B2)
        assert await moving == "completed"
        desk.switch.far_end_hangs_up(B2)
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(call_id) == ("completed", "success/hangup_by_callee")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_the_intent_is_stored_before_the_order() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        stored: list[Call] = []
        desk.switch.on_order = lambda order: stored.append(desk.store.get(call_id))
        moving = rerouting(desk, call_id)
        await desk.settle()
        assert [call.moving for call in stored if call.moves] == [True]
        desk.switch.end(A)
        assert await moving == "ended"


@in_virtual_time
async def test_who_refuses_brings_the_caller_back_to_the_book() -> None:
    async with open_desk() as desk:
        desk.book.then.append(RouteFacts(OURS, TO_AGENT, max_duration_s=5, ring_timeout_s=1))
        call_id, moving = await ringing_elsewhere(desk)
        desk.switch.channels.pop(B2)
        desk.switch.say(BUSY)
        assert await moving == "busy"
        assert await asks(desk) == TO_AGENT
        known = desk.director.live(call_id)
        assert known is not None
        assert (known.terms.max_duration_s, known.terms.ring_timeout_s) == (3600, 30)
        assert [old.leg.channel for old in known.former] == [B, B2]


@in_virtual_time
async def test_a_question_that_overtakes_the_refusal_waits_for_it() -> None:
    async with open_desk() as desk:
        desk.book.then.append(RouteFacts(OURS, TO_AGENT))
        call_id, moving = await ringing_elsewhere(desk)
        question = asyncio.create_task(asks(desk))
        await desk.pass_time(0.05)
        assert desk.book.typed == []
        desk.switch.channels.pop(B2)
        desk.switch.say(BUSY)
        assert await question == TO_AGENT
        assert await moving == "busy"
        assert desk.director.live(call_id) is not None


@in_virtual_time
async def test_a_refusal_that_nobody_heard_is_not_waited_for_long() -> None:
    async with open_desk() as desk:
        desk.book.then.append(RouteFacts(OURS, Later(1)))
        call_id, moving = await ringing_elsewhere(desk)
        assert await asks(desk) == Later(1)
        known = desk.director.live(call_id)
        assert known is not None
        assert known.on_detour
        await desk.pass_time(2.5)
        assert desk.switch.ordered(orders.Hangup)[-1] == orders.Hangup(known.callee.role, B2, 16)
        assert await moving == "no_answer"


@in_virtual_time
async def test_an_agent_of_a_placed_call_that_does_not_come() -> None:
    async with open_desk() as desk:
        desk.book.then.append(RouteFacts(OURS, Reject(34, "agent_unavailable")))
        call, channel = await desk.talking(AGENT, agent_id="agt_1", agent_version=4)
        assert await asks(desk, channel) == Reject(34, "agent_unavailable")
        desk.switch.end(channel, 34)
        await desk.settle()
        assert desk.ended(call.id) == ("completed", "upstream_error/agent_unavailable")
        (party,) = desk.store.cdrs[call.id].former
        assert (party.who, party.why) == ("agent:agt_1", "agent_unavailable")
        assert desk.store.get(call.id).terms.agent_version == 4


@in_virtual_time
async def test_whose_book_knows_nothing_of_it_ends_it() -> None:
    async with open_desk() as desk:
        desk.book.then.append(RouteFacts(None, None))
        _, channel = await desk.talking(AGENT)
        assert await asks(desk, channel) == Reject(1, "no_route")


# ---------------------------------------------------------------- what cannot be, or goes wrong


@in_virtual_time
async def test_what_cannot_be_moved() -> None:
    async with open_desk() as desk:
        with pytest.raises(NotFound):
            await desk.director.reroute(CallId("call_0"), TO_ALICE, 20)
        call_id = await desk.offered()
        with pytest.raises(Conflict):
            await desk.director.reroute(call_id, TO_ALICE, 20)
        with pytest.raises(InvalidInput):
            await desk.director.reroute(call_id, TO_ALICE, 20, why="Because, of\nthis")
        desk.switch.dial(B, by=A)
        desk.switch.answer(B)
        desk.switch.answer(A)
        await desk.settle()
        desk.switch.ready = False
        with pytest.raises(SwitchUnavailable):
            await desk.director.reroute(call_id, TO_ALICE, 20)
        desk.switch.ready = True
        moving = rerouting(desk, call_id)
        await asyncio.sleep(0)
        with pytest.raises(Conflict):
            await desk.director.reroute(call_id, TO_ALICE, 20)
        desk.switch.end(A)
        assert await moving == "ended"


@in_virtual_time
async def test_a_callee_that_leaves_first_was_first() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.far_end_hangs_up(B)
        with pytest.raises(Conflict):
            await desk.director.reroute(call_id, TO_ALICE, 20)
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(call_id) == ("completed", "success/hangup_by_callee")


@in_virtual_time
async def test_a_trunk_without_a_line_is_told_before_anything_is_moved() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.director.lines = full = Lines({"other": 1})
        full.used["other"] = 1
        desk.director.control._lines = full
        with pytest.raises(TooMany):
            await desk.director.reroute(call_id, Connect(Trunk(E164("+14155550109"), "other")), 20)
        assert desk.switch.ordered(Redirect) == []
        assert desk.director.live(call_id) is not None


@in_virtual_time
async def test_a_number_without_a_trunk_goes_over_the_usual_one() -> None:
    async with open_desk() as desk:
        call_id, moving = await ringing_elsewhere(desk, Connect(Trunk(E164("+14155550109"), "")))
        known = desk.director.live(call_id)
        assert known is not None
        assert isinstance(known.route, Connect)
        assert known.route.endpoint == Trunk(E164("+14155550109"), "carrier")
        moving.cancel()


@pytest.mark.parametrize("error", [SwitchRefused("No such channel"), SwitchUnavailable()])
@in_virtual_time
async def test_an_order_that_was_certainly_not_carried_out(error: Exception) -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.fail("redirect", error)
        assert await rerouting(desk, call_id) == "timeout"
        known = desk.director.live(call_id)
        assert known is not None
        assert (known.route, known.callee.channel, known.callee.rank) == (Connect(FAR, CLI), B, Rank.UP)


@in_virtual_time
async def test_an_order_whose_answer_was_lost_is_found_out() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.fail("redirect", OutcomeUnknown(), carried_out=True)
        moving = rerouting(desk, call_id)
        await desk.settle()
        assert await asks(desk) == replace(TO_ALICE, ring_s=20)
        moving.cancel()


@in_virtual_time
async def test_an_order_that_was_lost_leaves_them_talking() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.switch.obeys = False
        desk.switch.fail("redirect", OutcomeUnknown())
        assert await rerouting(desk, call_id) == "timeout"
        known = desk.director.live(call_id)
        assert known is not None
        assert known.callee.channel == B


@in_virtual_time
async def test_an_order_that_waited_for_the_database_too_long_is_not_sent() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        desk.store.go_away()
        moving = rerouting(desk, call_id)
        await desk.pass_time(8)
        desk.store.return_()
        assert await moving == "timeout"
        await desk.pass_time(2)
        assert desk.switch.ordered(Redirect) == []
        known = desk.director.live(call_id)
        assert known is not None
        assert known.callee.channel == B
