"""The switch out of reach, the gateway restarted: calls are held, looked at, adopted, told once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dialplan.core.heard import Heard, What
from dialplan.core.orders import Hangup
from dialplan.fakes import FakeSwitch
from dialplan.ports import Ending, LiveChannel
from telephony.errors import OutcomeUnknown, SwitchUnavailable
from telephony.ids import ChannelId
from tests.unit.dialplan.desk import EPOCH, FAR, HOLD, OURS, A, B, Desk, channel_of, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_nothing_is_made_while_the_switch_is_away() -> None:
    async with open_desk() as desk:
        desk.switch.ready = False
        with pytest.raises(SwitchUnavailable):
            await desk.place()
        assert len(desk.store) == 0
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_hang_up_is_refused_while_the_switch_is_away() -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking()
        desk.switch.ready = False
        with pytest.raises(SwitchUnavailable):
            await desk.director.hang_up(call.id)
        assert desk.director.live(call.id) is not None


@in_virtual_time
async def test_no_deadline_decides_while_the_switch_is_away() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled(ring_timeout_s=5)
        desk.switch.ring(channel)
        await desk.settle()
        desk.switch.ready = desk.switch.listening = False
        await desk.pass_time(60)
        assert desk.store.types(call.id) == ["call.initiated", "call.ringing"]
        desk.switch.ready = desk.switch.listening = True
        await desk.pass_time(1.5)
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [channel]
        assert desk.ended(call.id) == ("no_answer", "far_end/ring_timeout")


@in_virtual_time
async def test_giving_up_ends_every_open_call_once() -> None:
    async with open_desk() as desk:
        talking, _ = await desk.talking(FAR)
        ringing, _ = await desk.dialled()
        inbound = await desk.offered()
        desk.switch.ready = desk.switch.listening = False
        desk.director.give_up("switch_lost")
        desk.director.give_up("switch_lost")
        await desk.settle()
        assert desk.ended(talking.id) == ("completed", "server_error/switch_lost")
        assert desk.ended(ringing.id) == ("failed", "server_error/switch_lost")
        assert desk.ended(inbound) == ("failed", "server_error/switch_lost")
        assert desk.leftovers() == {}


@in_virtual_time
async def test_channels_of_calls_given_up_are_hung_up_when_the_switch_returns() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        desk.switch.ready = desk.switch.listening = False
        desk.director.give_up("switch_lost")
        await desk.settle()
        desk.switch.ready = desk.switch.listening = True
        await desk.director.look(restarted=False)
        await desk.settle()
        assert [order.channel for order in desk.switch.ordered(Hangup)] == [channel]
        assert desk.ended(call.id)[0] == "completed"


@in_virtual_time
async def test_a_hang_up_lost_on_the_way_is_ordered_again_after_the_look() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        desk.switch.fail("hang_up", OutcomeUnknown())
        waiting = asyncio.create_task(desk.director.hang_up(call.id))
        await desk.settle()
        assert channel in desk.switch.channels
        await desk.director.look(restarted=False)
        await waiting
        assert desk.switch.channels == {}
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")


@in_virtual_time
async def test_a_look_that_fails_changes_nothing_and_can_be_repeated() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        desk.switch.fail("live_channels", OutcomeUnknown())
        with pytest.raises(OutcomeUnknown):
            await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.director.live(call.id) is not None
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.director.live(call.id) is not None
        assert channel in desk.switch.channels


@in_virtual_time
async def test_a_look_spares_a_call_that_is_being_placed() -> None:
    async with open_desk() as desk:
        call = await desk.place()
        await desk.director.look(restarted=True)
        await desk.settle()
        desk.switch.dial(channel_of(call))
        desk.switch.ring(channel_of(call))
        await desk.settle()
        assert desk.store.types(call.id) == ["call.initiated", "call.ringing"]


@in_virtual_time
async def test_a_call_placed_during_the_look_is_no_orphan() -> None:
    listing = asyncio.Event()

    class SlowSwitch(FakeSwitch):
        async def live_channels(self) -> Sequence[LiveChannel]:
            await listing.wait()
            return await super().live_channels()

    async with open_desk(switch=SlowSwitch()) as desk:
        looking = asyncio.create_task(desk.director.look(restarted=False))
        await desk.pass_time(0.1)
        call, channel = await desk.dialled()
        listing.set()
        await looking
        await desk.settle()
        assert desk.switch.ordered(Hangup) == []
        assert desk.director.tally.orphans == 0
        assert channel in desk.switch.channels
        assert desk.director.live(call.id) is not None


@in_virtual_time
async def test_a_channel_of_ours_that_belongs_to_no_call_is_hung_up() -> None:
    async with open_desk() as desk:
        desk.switch.exist(ChannelId("leg_01"))
        desk.switch.exist(ChannelId("somebody-else.1"))
        await desk.director.look(restarted=False)
        await desk.settle()
        assert list(desk.switch.channels) == ["somebody-else.1"]
        assert desk.director.tally.orphans == 1


@in_virtual_time
async def test_an_orphan_that_cannot_be_hung_up_now_is_left_to_the_next_look() -> None:
    async with open_desk() as desk:
        desk.switch.exist(ChannelId("leg_01"))
        for error in (SwitchUnavailable(), OutcomeUnknown()):
            desk.switch.fail("hang_up", error)
            await desk.director.look(restarted=False)
            await desk.settle()
            assert desk.switch.channels
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.switch.channels == {}


# ---------------------------------------------------------------- adoption: a restarted gateway


async def _placed(desk: Desk) -> tuple[str, ChannelId]:
    call = await desk.place()
    return call.id, channel_of(call)


async def _dialled(desk: Desk) -> tuple[str, ChannelId]:
    call, channel = await desk.dialled()
    return call.id, channel


async def _ringing(desk: Desk) -> tuple[str, ChannelId]:
    call, channel = await desk.dialled()
    desk.switch.ring(channel)
    await desk.settle()
    return call.id, channel


async def _answered(desk: Desk) -> tuple[str, ChannelId]:
    call, channel = await desk.dialled()
    desk.switch.answer(channel)
    await desk.settle()
    return call.id, channel


async def _holding(desk: Desk) -> tuple[str, ChannelId]:
    call, channel = await desk.talking(HOLD)
    return call.id, channel


async def _joined(desk: Desk) -> tuple[str, ChannelId]:
    call, channel = await desk.talking(FAR)
    desk.switch.dial(B, by=channel)
    desk.switch.answer(B)
    await desk.settle()
    return call.id, channel


async def _offered(desk: Desk) -> tuple[str, ChannelId]:
    return await desk.offered(), A


async def _inbound(desk: Desk) -> tuple[str, ChannelId]:
    return await desk.inbound_talking(), A


STAGES = [_placed, _dialled, _ringing, _answered, _holding, _joined, _offered, _inbound]


@pytest.mark.parametrize("stage", STAGES, ids=lambda f: f.__name__)
@in_virtual_time
async def test_an_adopted_call_goes_on_and_ends_once(stage: object) -> None:
    async with open_desk() as desk:
        call_id, channel = await stage(desk)  # type: ignore[operator]
        if stage is _placed:
            desk.switch.exist(channel)
        desk.switch.listening = False
        await desk.crash()
        assert desk.director.live_calls(OURS) == 1
        desk.switch.listening = True
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.director.live(call_id) is not None
        await desk.director.hang_up(call_id)
        await desk.pass_time(10)
        status, termination = desk.ended(call_id)
        answered = stage in (_answered, _holding, _joined, _inbound)
        assert status == ("completed" if answered else "cancelled")
        assert termination == ("success/hangup_by_api" if answered else "cancelled/cancelled_by_api")
        assert desk.switch.channels == {}
        assert desk.leftovers() == {}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("stage", STAGES, ids=lambda f: f.__name__)
@in_virtual_time
async def test_a_call_whose_channels_went_while_nobody_listened_ends_once(
    stage: object, restarted: bool
) -> None:
    async with open_desk() as desk:
        call_id, _ = await stage(desk)  # type: ignore[operator]
        desk.switch.listening = False
        desk.switch.restart()
        await desk.crash()
        desk.switch.listening = True
        await desk.director.look(restarted=restarted)
        await desk.pass_time(30)
        status, termination = desk.ended(call_id)
        answered = stage in (_answered, _holding, _joined, _inbound)
        assert status == ("completed" if answered else "failed")
        why = "switch_restarted" if restarted else "gateway_was_away"
        assert termination == f"server_error/{'switch_silent' if stage in (_placed, _dialled) else why}"
        assert desk.leftovers() == {}


@in_virtual_time
async def test_the_switchs_own_record_tells_what_was_missed() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.switch.ring(channel)
        await desk.settle()
        desk.switch.listening = False
        await desk.pass_time(20)
        desk.switch.end(channel)
        desk.endings.add(Ending(channel, EPOCH + 3, EPOCH + 15, 16))
        await desk.crash()
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.ended(call.id) == ("completed", "success/hangup_by_caller")
        cdr = desk.store.cdrs[call.id]
        assert (cdr.call.answered_at, cdr.call.ended_at, cdr.call.duration_s) == (EPOCH + 3, EPOCH + 15, 12)


@in_virtual_time
async def test_a_busy_that_was_missed() -> None:
    async with open_desk() as desk:
        call = await desk.place()
        await desk.settle()
        channel = channel_of(call)
        desk.endings.add(Ending(channel, None, EPOCH + 1, 17))
        await desk.crash()
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.ended(call.id) == ("busy", "far_end/busy")


@in_virtual_time
async def test_a_callee_that_was_dialled_while_nobody_listened_is_found_by_its_link() -> None:
    async with open_desk() as desk:
        call_id = await desk.offered()
        desk.switch.listening = False
        desk.switch.dial(B, by=A)
        desk.switch.answer(B)
        desk.switch.answer(A)
        await desk.crash()
        desk.switch.listening = True
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.store.get(call_id).status == "in_progress"
        desk.switch.far_end_hangs_up(B)
        desk.switch.end(A)
        await desk.settle()
        assert desk.ended(call_id) == ("completed", "success/hangup_by_callee")


@in_virtual_time
async def test_a_callee_nobody_heard_of_was_answered_if_its_inbound_caller_was() -> None:
    async with open_desk() as desk:
        call_id = await desk.offered()
        desk.switch.listening = False
        desk.switch.restart()
        desk.endings.add(Ending(A, EPOCH + 2, EPOCH + 9, 16))
        await desk.pass_time(10)
        await desk.crash()
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.ended(call_id)[0] == "completed"
        cdr = desk.store.cdrs[call_id]
        assert (cdr.call.answered_at, cdr.call.ended_at) == (EPOCH + 2, EPOCH + 9)


@in_virtual_time
async def test_our_cancel_is_remembered_by_the_next_gateway() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled()
        desk.switch.ring(channel)
        await desk.settle()
        desk.switch.listening = False
        await desk.director.hang_up(call.id, patience_s=0)
        await desk.settle()
        assert desk.switch.channels == {}
        desk.endings.add(Ending(channel, None, EPOCH + 1, 16))
        await desk.crash()
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.ended(call.id) == ("cancelled", "cancelled/cancelled_by_api")


@in_virtual_time
async def test_our_ring_limit_is_remembered_by_the_next_gateway() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled(ring_timeout_s=5)
        desk.switch.ring(channel)
        await desk.settle()
        desk.switch.listening = False
        await desk.pass_time(5)
        assert desk.switch.channels == {}
        desk.endings.add(Ending(channel, None, EPOCH + 5, 16))
        await desk.crash()
        await desk.director.look(restarted=False)
        await desk.settle()
        assert desk.ended(call.id) == ("no_answer", "far_end/ring_timeout")


@in_virtual_time
async def test_a_recording_that_was_not_filed_is_filed_after_the_return() -> None:
    async with open_desk(record=True) as desk:
        call_id = await desk.inbound_talking()
        desk.switch.say(Heard(What.TAPE, A, detail="started"))
        await desk.settle()
        desk.archive.error = asyncio.CancelledError()  # type: ignore[assignment]  # the gateway dies in it
        desk.switch.end(A)
        desk.switch.end(B)
        await desk.settle()
        assert "recording.ready" not in desk.store.types(call_id)
        desk.archive.error = None
        await desk.crash()
        await desk.settle()
        assert desk.store.types(call_id)[-1] == "recording.ready"
        assert desk.ended(call_id)[0] == "completed"
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_settled_call_is_not_adopted() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        desk.switch.end(channel)
        await desk.settle()
        await desk.crash()
        assert desk.director.live(call.id) is None
        assert desk.leftovers() == {}
