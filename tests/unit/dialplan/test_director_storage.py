"""The database away: nothing acknowledged is lost, events keep their order, hang-ups go out all the same."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core import orders
from dialplan.core.orders import Hangup, Originate
from telephony.errors import StorageUnavailable
from tests.unit.dialplan.desk import OFFERED, OURS, A, B, channel_of, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit

LIFE = ["call.initiated", "call.ringing", "call.answered", "call.completed"]


@in_virtual_time
async def test_no_call_is_placed_that_cannot_be_stored() -> None:
    async with open_desk() as desk:
        desk.store.go_away(1)
        with pytest.raises(StorageUnavailable):
            await desk.place()
        await desk.settle()
        assert desk.switch.orders == []
        assert desk.leftovers() == {}


@in_virtual_time
async def test_an_inbound_call_that_cannot_be_stored_is_left_to_the_fallback() -> None:
    async with open_desk() as desk:
        desk.store.go_away(1)
        with pytest.raises(StorageUnavailable):
            await desk.director.answer(OFFERED)
        desk.switch.end(A)
        await desk.settle()
        assert len(desk.store) == 0
        assert desk.leftovers() == {}


@pytest.mark.parametrize("appends", [1, 2, 3, 7])
@in_virtual_time
async def test_an_outage_in_mid_call_loses_nothing(appends: int) -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.store.go_away(appends)
        desk.switch.ring(channel)
        await desk.settle()
        desk.switch.answer(channel)
        await desk.settle()
        desk.switch.far_end_hangs_up(channel)
        await desk.pass_time(20)
        assert desk.ended(call.id) == ("completed", "success/hangup_by_caller")
        assert desk.store.types(call.id) == LIFE
        assert desk.store.refused == appends
        assert desk.leftovers() == {}


@in_virtual_time
async def test_an_outage_from_the_first_ring_to_after_the_end() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.store.go_away()
        desk.switch.ring(channel)
        desk.switch.answer(channel)
        desk.switch.far_end_hangs_up(channel)
        await desk.pass_time(300)
        assert desk.store.types(call.id) == ["call.initiated"]
        assert desk.director.live_calls(OURS) == 1
        desk.store.return_()
        await desk.pass_time(2)
        assert desk.store.types(call.id) == LIFE
        assert desk.ended(call.id) == ("completed", "success/hangup_by_caller")


@in_virtual_time
async def test_a_hang_up_goes_out_in_an_outage() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        desk.store.go_away()
        waiting = asyncio.create_task(desk.director.hang_up(call.id))
        await desk.settle()
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [channel]
        desk.store.return_()
        await waiting
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")


@in_virtual_time
async def test_a_hang_up_of_a_call_that_is_just_over_waits_until_its_end_is_on_record() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        slow = desk.store.hold()
        asyncio.get_running_loop().call_later(2, slow.set)
        desk.switch.far_end_hangs_up(channel)
        await desk.settle()
        life = desk.director.live(call.id)
        assert life is not None
        assert life.closed
        await desk.director.hang_up(call.id)
        assert desk.ended(call.id) == ("completed", "success/hangup_by_caller")


@in_virtual_time
async def test_a_hang_up_goes_out_while_an_earlier_fact_still_waits_to_be_stored() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.store.go_away()
        desk.switch.ring(channel)
        await desk.pass_time(0.5)
        await desk.director.hang_up(call.id, patience_s=0.1)
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [channel]
        assert desk.store.types(call.id) == ["call.initiated"]
        desk.store.return_()
        await desk.pass_time(2)
        assert desk.ended(call.id) == ("cancelled", "cancelled/cancelled_by_api")


@in_virtual_time
async def test_the_longest_duration_ends_a_call_in_an_outage() -> None:
    async with open_desk(max_duration_s=60) as desk:
        call_id = await desk.offered()
        desk.store.go_away()
        desk.switch.dial(B, by=A)
        desk.switch.answer(B)
        desk.switch.answer(A)
        await desk.pass_time(61)
        assert {order.channel for order in desk.switch.ordered(Hangup)} == {A, B}
        desk.store.return_()
        await desk.pass_time(2)
        assert desk.ended(call_id) == ("completed", "success/max_duration")


@in_virtual_time
async def test_a_hang_up_is_not_acknowledged_before_its_end_is_stored() -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking()
        desk.store.go_away()
        waiting = asyncio.create_task(desk.director.hang_up(call.id, patience_s=60))
        await desk.pass_time(10)
        assert not waiting.done()
        desk.store.return_()
        await waiting
        assert desk.ended(call.id)[0] == "completed"


@in_virtual_time
async def test_a_caller_who_asks_in_an_outage_is_not_answered_before_it_is_stored() -> None:
    async with open_desk() as desk:
        _, channel = await desk.dialled()
        desk.store.go_away()
        desk.switch.answer(channel)
        asking = asyncio.create_task(desk.ask(channel))
        await desk.pass_time(0.5)
        assert not asking.done()
        desk.store.return_()
        await desk.pass_time(0.4)
        assert asking.done() is False
        with pytest.raises(TimeoutError):
            await asking


@in_virtual_time
async def test_a_place_given_up_while_it_is_stored_is_still_a_whole_call() -> None:
    async with open_desk() as desk:
        gate = desk.store.hold()
        placing = asyncio.create_task(desk.place())
        await desk.settle()
        placing.cancel()
        await desk.settle()
        gate.set()
        await desk.settle()
        (order,) = desk.switch.ordered(Originate)
        assert isinstance(order, Originate)
        desk.switch.dial(order.channel)
        desk.switch.end(order.channel, 17, 486)
        await desk.settle()
        (call_id,) = desk.store.cdrs
        assert desk.ended(call_id) == ("busy", "far_end/busy")


@in_virtual_time
async def test_a_question_given_up_while_it_is_stored_is_still_a_whole_call() -> None:
    async with open_desk() as desk:
        gate = desk.store.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await desk.director.answer(OFFERED)
        gate.set()
        await desk.settle()
        assert len(desk.store) == 1
        desk.switch.end(A, 16)
        await desk.settle()
        (call_id,) = desk.store.cdrs
        assert desk.ended(call_id) == ("cancelled", "cancelled/cancelled_by_caller")


@in_virtual_time
async def test_a_question_given_up_that_could_not_be_stored_leaves_nothing() -> None:
    async with open_desk() as desk:
        gate = desk.store.hold()
        desk.store.go_away()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await desk.director.answer(OFFERED)
        gate.set()
        await desk.settle()
        assert len(desk.store) == 0
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_gateway_that_dies_in_an_outage_tells_the_end_after_its_return() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.store.go_away()
        desk.switch.ring(channel)
        desk.switch.answer(channel)
        await desk.pass_time(3)
        desk.store.return_()
        await desk.crash()
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.store.get(call.id).status == "in_progress"
        desk.switch.far_end_hangs_up(channel)
        await desk.settle()
        assert desk.ended(call.id) == ("completed", "success/hangup_by_caller")


@in_virtual_time
async def test_a_reply_waits_for_the_store_and_is_given_once() -> None:
    async with open_desk() as desk:
        _, channel = await desk.dialled()
        desk.switch.answer(channel)
        await desk.settle()
        desk.store.go_away(1)
        asking = asyncio.create_task(desk.director.answer(OFFERED.__class__(channel, "outbound", "", "", "")))
        await desk.settle()
        assert not asking.done()
        await desk.pass_time(1.1)
        assert isinstance(await asking, orders.Reply)
        assert channel_of(desk.store.get((await asking).call_id)) == channel  # type: ignore[union-attr]
