"""Recordings turned by the app, by the call's terms, and by what goes wrong."""

from __future__ import annotations

import asyncio

import pytest

from dialplan.core import orders
from dialplan.core.call import TapeState
from dialplan.core.heard import Heard, What
from dialplan.core.orders import TurnTape
from telephony.errors import Conflict, NotFound, OutcomeUnknown, SwitchRefused, SwitchUnavailable
from telephony.ids import CallId
from tests.unit.dialplan.desk import (
    HOLD,
    open_desk,
)
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_recording_turned_by_the_app() -> None:
    async with open_desk() as desk:
        call, channel = await desk.talking()
        for verb, state in (
            ("start", TapeState.RECORDING),
            ("pause", TapeState.PAUSED),
            ("resume", TapeState.RECORDING),
        ):
            after = await desk.director.turn_tape(call.id, verb)
            assert after.tapes[0].state is state
        after = await desk.director.turn_tape(call.id, "stop")
        assert after.tapes[0].state in (TapeState.STOPPED, TapeState.FILED)
        await desk.settle()
        again = await desk.director.turn_tape(call.id, "start")
        assert [tape.id for tape in again.tapes] == [f"{call.id}-1", f"{call.id}-2"]
        assert [order.verb for order in desk.switch.orders if isinstance(order, TurnTape)] == [
            "start",
            "pause",
            "resume",
            "stop",
            "start",
        ]
        desk.switch.end(channel)
        await desk.settle()
        assert desk.archive.filed == [f"{call.id}-1", f"{call.id}-2"]
        assert desk.store.types(call.id)[3:] == [
            "recording.started",
            "recording.paused",
            "recording.resumed",
            "recording.stopped",
            "recording.ready",
            "recording.started",
            "call.completed",
            "recording.ready",
        ]
        assert desk.leftovers() == {}


@pytest.mark.parametrize(
    ("before", "verb", "code"),
    [
        ((), "stop", "RECORDING_NOT_RUNNING"),
        ((), "pause", "RECORDING_NOT_RUNNING"),
        ((), "resume", "RECORDING_NOT_RUNNING"),
        (("start",), "start", "RECORDING_RUNNING"),
        (("start",), "resume", "RECORDING_STATE"),
        (("start", "pause"), "pause", "RECORDING_STATE"),
        (("start", "stop"), "stop", "RECORDING_NOT_RUNNING"),
    ],
)
@in_virtual_time
async def test_a_recording_verb_that_does_not_fit(before: tuple[str, ...], verb: str, code: str) -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking()
        for done in before:
            await desk.director.turn_tape(call.id, done)
        orders_before = len(desk.switch.orders)
        with pytest.raises(Conflict) as raised:
            await desk.director.turn_tape(call.id, verb)
        assert raised.value.code == code
        assert len(desk.switch.orders) == orders_before


@in_virtual_time
async def test_a_recording_needs_a_call_in_progress() -> None:
    async with open_desk() as desk:
        with pytest.raises(NotFound):
            await desk.director.turn_tape(CallId("call_none"), "start")
        call, channel = await desk.dialled()
        with pytest.raises(Conflict) as raised:
            await desk.director.turn_tape(call.id, "start")
        assert raised.value.code == "CALL_NOT_IN_PROGRESS"
        desk.switch.end(channel)


@in_virtual_time
async def test_a_recording_the_switch_refuses_is_told_as_a_failure() -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking()
        desk.switch.fail("turn_tape", SwitchRefused())
        with pytest.raises(Conflict) as raised:
            await desk.director.turn_tape(call.id, "start")
        assert raised.value.code == "RECORDING_REFUSED"
        assert desk.store.types(call.id)[-1] == "recording.failed"
        after = await desk.director.turn_tape(call.id, "start")
        assert after.tape is not None


@in_virtual_time
async def test_a_recording_never_confirmed_is_said_so() -> None:
    async with open_desk() as desk:
        call, _ = await desk.talking()
        desk.switch.fail("turn_tape", OutcomeUnknown())
        with pytest.raises(Conflict) as raised:
            await desk.director.turn_tape(call.id, "start", patience_s=2)
        assert raised.value.code == "RECORDING_NOT_CONFIRMED"


@in_virtual_time
async def test_a_call_that_ends_before_the_recording_turns() -> None:
    async with open_desk() as desk:
        desk.switch.obeys = False
        call, channel = await desk.talking()
        turning = asyncio.create_task(desk.director.turn_tape(call.id, "start"))
        await desk.settle()
        desk.switch.end(channel)
        with pytest.raises(Conflict) as raised:
            await turning
        assert raised.value.code == "CALL_NOT_IN_PROGRESS"
        await desk.settle()
        assert desk.leftovers() == {}


@in_virtual_time
async def test_a_call_is_recorded_from_its_connection_when_asked_to() -> None:
    async with open_desk() as desk:
        call, channel = await desk.dialled(record=True)
        desk.switch.answer(channel)
        reply = await desk.ask(channel)
        assert isinstance(reply, orders.Reply)
        assert reply.tape_id == f"{call.id}-1"
        desk.switch.say(Heard(What.TAPE, channel, detail="started"))
        desk.switch.end(channel)
        await desk.settle()
        assert desk.store.types(call.id)[-3:] == ["recording.started", "call.completed", "recording.ready"]
        assert desk.ended(call.id)[0] == "completed"


@in_virtual_time
async def test_an_archive_that_fails_is_told_and_the_call_is_let_go() -> None:
    for error, reason in (
        (RuntimeError("broken"), "archive_failed"),
        (SwitchUnavailable(), "service_unavailable"),
    ):
        async with open_desk() as desk:
            desk.archive.error = error
            call, channel = await desk.talking(HOLD, record=True)
            desk.switch.say(Heard(What.TAPE, channel, detail="started"))
            desk.switch.end(channel)
            await desk.settle()
            last = desk.store.events[call.id][-1]
            assert last.type == "recording.failed"
            assert dict(last.detail)["reason"] == reason
            assert desk.leftovers() == {}
