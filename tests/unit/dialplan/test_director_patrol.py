"""The patrol: what of ours lives on in the switch without a call that knows it is ended, and only that."""

from __future__ import annotations

import pytest

from dialplan.core.orders import Hangup
from dialplan.ports import LiveChannel
from telephony.errors import OutcomeUnknown
from telephony.ids import ChannelId
from tests.unit.dialplan.desk import Desk, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


def hung_up(desk: Desk) -> list[ChannelId]:
    return [order.channel for order in desk.switch.ordered(Hangup)]


@in_virtual_time
async def test_live_calls_and_strangers_are_left_alone() -> None:
    async with open_desk() as desk:
        _, channel = await desk.talking()
        desk.switch.channels[ChannelId("other-1.1")] = LiveChannel(
            ChannelId("other-1.1"), ChannelId("other-1.1"), True, "Dial"
        )
        await desk.director.patrol()
        await desk.settle()
        assert hung_up(desk) == []
        assert channel in desk.switch.channels


@in_virtual_time
async def test_a_channel_of_a_closed_call_is_hung_up() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        await desk.director.hang_up(call.id)
        await desk.settle()
        ghost = LiveChannel(channel, channel, True, "Wait")
        desk.switch.channels[channel] = ghost
        await desk.director.patrol()
        await desk.settle()
        assert hung_up(desk) == [channel, channel]
        assert desk.director.tally.orphans == 1


@in_virtual_time
async def test_a_hang_up_whose_order_was_lost_is_ordered_again() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        desk.switch.fail("hang_up", OutcomeUnknown("no answer"))
        await desk.director.hang_up(call.id, patience_s=0.1)
        await desk.director.patrol()
        await desk.settle()
        assert channel in desk.switch.channels, "a moment ago is too early to order it again"
        await desk.pass_time(4.5)
        await desk.director.patrol()
        await desk.settle()
        assert channel not in desk.switch.channels
        assert desk.ended(call.id) == ("completed", "success/hangup_by_api")
