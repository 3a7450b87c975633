"""Placed calls: who wins a race, what is stored before it is done, how each end is told."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core import orders
from dialplan.core.call import Connect, Role, Trunk
from dialplan.core.heard import Heard, What
from dialplan.core.orders import Hangup, Originate
from telephony.errors import OutcomeUnknown, SwitchRefused, SwitchUnavailable, UnsafeValue
from telephony.ids import CallId
from tests.unit.dialplan.desk import (
    CLI,
    FAR,
    OURS,
    SPEECH,
    TO,
    A,
    B,
    channel_of,
    open_desk,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_placed_call_is_stored_before_it_is_rung() -> None:
    async with open_desk() as desk:
        stored_first: list[bool] = []
        desk.switch.on_order = lambda order: stored_first.append(len(desk.store) == 1)
        call = await desk.place()
        assert desk.store.types(call.id) == ["call.initiated"]
        assert desk.director.live_calls(OURS) == 1
        await desk.settle()
        assert stored_first == [True]
        (order,) = desk.switch.ordered(Originate)
        assert order == Originate(channel_of(call), Trunk(TO, "carrier"), CLI, 65)


@in_virtual_time
async def test_an_answered_call_is_told_from_first_ring_to_cdr() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled(FAR)
        desk.switch.ring(channel)
        await desk.pass_time(4)
        desk.switch.answer(channel)
        reply = await desk.ask(channel)
        assert isinstance(reply, orders.Reply)
        assert (reply.call_id, reply.route) == (call.id, Connect(FAR, CLI))
        desk.switch.dial(B, by=channel)
        desk.switch.ring(B)
        await desk.pass_time(2)
        desk.switch.answer(B)
        await desk.pass_time(10)
        desk.switch.far_end_hangs_up(B)
        desk.switch.end(channel)
        await desk.settle()
        assert desk.ended(call.id) == ("completed", "success/hangup_by_callee")
        assert desk.store.types(call.id) == [
            "call.initiated",
            "call.ringing",
            "call.answered",
            "call.connected",
            "call.completed",
        ]
        cdr = desk.store.cdrs[call.id]
        assert (cdr.ring_s, cdr.talk_s, cdr.call.duration_s) == (4.0, 10.0, 12)
        assert desk.leftovers() == {}


@in_virtual_time
async def test_an_empty_trunk_name_means_the_default_trunk() -> None:
    async with open_desk() as desk:
        call = await desk.place(Trunk(FAR.number, ""))
        assert call.route == Connect(FAR, CLI)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(SwitchUnavailable(), "switch_unavailable"), (SwitchRefused(), "switch_refused")],
    ids=str,
)
@in_virtual_time
async def test_an_originate_that_was_not_taken_fails_the_call_at_once(error: Exception, reason: str) -> None:
    async with open_desk() as desk:
        desk.switch.fail("originate", error)
        call = await desk.place()
        await desk.settle()
        assert desk.ended(call.id) == ("failed", f"server_error/{reason}")


@in_virtual_time
async def test_a_trunk_that_cannot_be_spelled_fails_the_call_and_frees_its_place() -> None:

    async with open_desk() as desk:
        desk.switch.fail("originate", UnsafeValue())
        call = await desk.place()
        await desk.settle()
        assert desk.ended(call.id) == ("failed", "server_error/unsafe_value")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_an_originate_with_an_unknown_outcome_is_never_sent_again_and_believed_when_it_rings() -> None:
    async with open_desk() as desk:
        desk.switch.fail("originate", OutcomeUnknown(), carried_out=True)
        call = await desk.place()
        await desk.settle()
        desk.switch.dial(channel_of(call))
        desk.switch.ring(channel_of(call))
        await desk.settle()
        assert desk.store.types(call.id) == ["call.initiated", "call.ringing"]
        assert len(desk.switch.ordered(Originate)) == 1


@in_virtual_time
async def test_an_originate_that_never_shows_ends_by_its_deadlines() -> None:
    async with open_desk() as desk:
        desk.switch.fail("originate", OutcomeUnknown())
        call = await desk.place()
        await desk.pass_time(30)
        assert desk.ended(call.id) == ("failed", "server_error/switch_silent")


@in_virtual_time
async def test_a_refused_far_end_keeps_its_own_cause_though_the_response_comes_first() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.switch.say(Heard(What.ORIGINATE_FAILED, channel, detail="originate_failed_0"))
        await desk.settle()
        assert desk.director.live(call.id) is not None
        desk.switch.end(channel, 17, 486)
        await desk.settle()
        assert desk.ended(call.id) == ("busy", "far_end/busy")


@in_virtual_time
async def test_a_channel_that_never_was_is_told_after_a_moment() -> None:
    async with open_desk() as desk:
        call = await desk.place()
        await desk.settle()
        desk.switch.say(Heard(What.ORIGINATE_FAILED, channel_of(call), detail="originate_failed_0"))
        await desk.pass_time(2)
        assert desk.ended(call.id) == ("failed", "server_error/originate_failed_0")


@in_virtual_time
async def test_a_cancel_before_the_channel_exists_takes_effect_when_it_does() -> None:
    async with open_desk() as desk:
        call = await desk.place()
        waiting = asyncio.create_task(desk.director.hang_up(call.id))
        await desk.settle()
        assert desk.switch.ordered(Hangup) == []
        desk.switch.dial(channel_of(call))
        await waiting
        assert desk.ended(call.id) == ("cancelled", "cancelled/cancelled_by_api")


@in_virtual_time
async def test_a_cancel_while_it_rings() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.switch.ring(channel)
        await desk.director.hang_up(call.id)
        assert desk.ended(call.id) == ("cancelled", "cancelled/cancelled_by_api")
        assert desk.switch.channels == {}


@in_virtual_time
async def test_an_answer_that_crosses_the_cancel_is_told_as_an_answer() -> None:
    async with open_desk() as desk:
        desk.switch.obeys = False
        call, channel = await desk.dialled()
        desk.switch.ring(channel)
        waiting = asyncio.create_task(desk.director.hang_up(call.id))
        await desk.settle()
        desk.switch.answer(channel)
        desk.switch.end(channel)
        await waiting
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")


@in_virtual_time
async def test_hanging_up_twice_at_once_orders_once() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        await asyncio.gather(desk.director.hang_up(call.id), desk.director.hang_up(call.id))
        assert desk.switch.ordered(Hangup) == [Hangup(Role.CALLER, channel, 16)]
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")


@in_virtual_time
async def test_hanging_up_what_is_over_or_unknown_does_nothing() -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking()
        await desk.director.hang_up(call.id)
        await desk.director.hang_up(call.id)
        await desk.director.hang_up(CallId("call_none"))
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")
        assert len(desk.switch.ordered(Hangup)) == 1


@in_virtual_time
async def test_hanging_up_both_legs_of_a_talk() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        await desk.director.hang_up(call_id)
        assert {order.channel for order in desk.switch.ordered(Hangup)} == {A, B}
        assert desk.ended(call_id) == ("completed", "success/hangup_by_api")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_hang_up_the_switch_never_confirms_is_ended_by_the_watchdog() -> None:
    async with open_desk() as desk:
        desk.switch.obeys = False
        call, _ = await desk.talking()
        await desk.director.hang_up(call.id, patience_s=5)
        assert desk.director.live(call.id) is not None
        await desk.pass_time(5)
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")


@in_virtual_time
async def test_our_ring_limit() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled(ring_timeout_s=7)
        desk.switch.ring(channel)
        await desk.pass_time(6.9)
        assert desk.switch.ordered(Hangup) == []
        await desk.pass_time(0.2)
        assert desk.ended(call.id) == ("no_answer", "far_end/ring_timeout")


@in_virtual_time
async def test_the_longest_duration() -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking(max_duration_s=60)
        await desk.pass_time(60.1)
        assert desk.ended(call.id) == ("completed", "success/max_duration")
        assert desk.store.cdrs[call.id].talk_s == 60.0


@in_virtual_time
async def test_an_announcement_ends_by_itself() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking(SPEECH)
        desk.switch.end(channel)
        await desk.settle()
        assert desk.ended(call.id) == ("completed", "success/announcement_finished")
