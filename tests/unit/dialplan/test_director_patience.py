"""Which writes may wait for company: those that nobody and nothing waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dialplan.core.call import Call
from dialplan.core.record import CallEvent, Cdr
from dialplan.fakes import MemoryCallStore
from tests.unit.dialplan.desk import FAR, A, B, open_desk
from tests.unit.dialplan.virtual_time import in_virtual_time

pytestmark = pytest.mark.unit


class Watched(MemoryCallStore):
    """Remembers, for each append with events, their types and whether it was patient."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None:
        self.seen += [(event.type, patient) for event in events]
        await super().append(call, events, cdr)


@in_virtual_time
async def test_the_question_does_not_wait_and_what_only_tells_does() -> None:
    store = Watched()
    async with open_desk(store=store) as desk:
        await desk.inbound_talking()
        desk.switch.end(B, 16)
        desk.switch.end(A, 16)
        await desk.pass_time(3)
    assert store.seen[0] == ("call.initiated", False)
    assert dict(store.seen[1:]) == {
        "call.ringing": True,
        "call.answered": True,
        "call.completed": True,
    }


@in_virtual_time
async def test_the_answer_to_a_call_that_we_placed_does_not_wait() -> None:
    store = Watched()
    async with open_desk(store=store) as desk:
        _, channel = await desk.dialled(FAR)
        desk.switch.ring(channel)
        await desk.settle()
        desk.switch.answer(channel)
        await desk.ask(channel)
    assert store.seen == [("call.initiated", False), ("call.ringing", True), ("call.answered", False)]


@in_virtual_time
async def test_an_end_that_the_api_waits_for_does_not_wait_longer() -> None:
    store = Watched()
    async with open_desk(store=store) as desk:
        call_id = await desk.inbound_talking()
        await asyncio.gather(desk.director.hang_up(call_id), desk.settle())
    assert store.seen[-1] == ("call.completed", False)
