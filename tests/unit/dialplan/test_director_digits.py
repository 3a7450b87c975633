"""The director: digits played to a caller, and listeners who hear of each change."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core.call import Call, Rank
from dialplan.fakes import FakeSwitch
from telephony.errors import Conflict, InvalidInput, NotFound, OutcomeUnknown, SwitchUnavailable
from telephony.ids import CallId, ChannelId
from tests.unit.dialplan.desk import A, B, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_digits_go_to_the_caller_one_after_another() -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        began = desk.now()
        await desk.director.send_digits(call_id, "1w#D")
        assert desk.switch.digits == [(A, "1"), (A, "#"), (A, "D")]
        assert desk.now() - began == pytest.approx(0.8)


@pytest.mark.parametrize("digits", ["", "1" * 33, "12e", "1 2", "1\n", "\uff11"])
@in_virtual_time
async def test_what_are_no_digits(digits: str) -> None:
    async with open_desk() as desk:
        call_id = await desk.inbound_talking()
        with pytest.raises(InvalidInput):
            await desk.director.send_digits(call_id, digits)
        assert desk.switch.digits == []


@in_virtual_time
async def test_digits_that_cannot_be_played() -> None:
    async with open_desk() as desk:
        with pytest.raises(NotFound):
            await desk.director.send_digits(CallId("call_0"), "1")
        call_id = await desk.offered()
        with pytest.raises(Conflict):
            await desk.director.send_digits(call_id, "1")
        desk.switch.dial(B, by=A)
        desk.switch.answer(B)
        desk.switch.answer(A)
        await desk.settle()
        desk.switch.fail("play_digit", SwitchUnavailable())
        with pytest.raises(SwitchUnavailable):
            await desk.director.send_digits(call_id, "1")
        desk.switch.fail("play_digit", OutcomeUnknown())
        await desk.director.send_digits(call_id, "12")
        assert desk.switch.digits == [(A, "2")], "what may have been played is not played again"
        playing = asyncio.create_task(desk.director.send_digits(call_id, "1234"))
        await desk.pass_time(0.15)
        desk.switch.end(A)
        with pytest.raises(Conflict):
            await playing


class Hanging(FakeSwitch):
    async def play_digit(self, channel: ChannelId, digit: str) -> None:
        await asyncio.Event().wait()


@in_virtual_time
async def test_a_switch_that_never_answers_a_digit_is_given_up() -> None:
    async with open_desk(switch=Hanging()) as desk:
        call_id = await desk.inbound_talking()
        with pytest.raises(Conflict):
            await desk.director.send_digits(call_id, "12")


@in_virtual_time
async def test_listeners_hear_before_it_is_stored_and_one_that_breaks_hurts_nobody() -> None:
    async with open_desk() as desk:
        told: list[tuple[Call, Call]] = []

        def breaks(before: Call, call: Call) -> None:
            raise RuntimeError("a listener's fault")

        desk.director.on_change(breaks)
        desk.director.on_change(lambda before, call: told.append((before, call)))
        call_id = await desk.inbound_talking()
        assert any(before.callee.rank < Rank.UP and call.callee.rank is Rank.UP for before, call in told)
        desk.store.go_away()
        desk.switch.far_end_hangs_up(A)
        desk.switch.end(B)
        await desk.settle()
        assert told[-1][1].closed
        assert str(told[-1][1].termination) == "success/hangup_by_caller"
        assert not desk.store.get(call_id).closed
        desk.store.return_()
        await desk.pass_time(2)
        assert desk.ended(call_id) == ("completed", "success/hangup_by_caller")
