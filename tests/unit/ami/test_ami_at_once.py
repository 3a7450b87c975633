"""Events that nothing waits before are told in the turn in which they were read, and never out of order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dialplan.ami.dispatch import Dispatch, LinkDown, LinkUp, Listener
from dialplan.ami.message import Kind, Message
from dialplan.ami.metrics import DownReason, Tally

pytestmark = pytest.mark.unit

UP = LinkUp("events", 1, "", "")
DOWN = LinkDown("events", 1, DownReason.CLOSED)


def events(*names: str) -> list[Message]:
    return [Message(Kind.EVENT, name, f"Event: {name}") for name in names]


class Heard:
    """A listener that notes everything; ``gate`` holds ``on_up`` up."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.tally = Tally()
        self.dispatch = Dispatch(
            Listener(self.event, self.up, lambda _: self.told.append("down")),
            self.tally,
            limit=1000,
            up_s=5.0,
            mono=lambda: 0.0,
        )

    def event(self, message: Message) -> None:
        self.told.append(message.name)
        if message.name == "Broken":
            raise LookupError

    async def up(self, _: LinkUp) -> None:
        await self.gate.wait()
        self.told.append("up")


@asynccontextmanager
async def listening() -> AsyncIterator[Heard]:
    heard = Heard()
    running = asyncio.create_task(heard.dispatch.run())
    heard.dispatch.up(UP)
    yield heard
    heard.dispatch.finish()
    await asyncio.wait_for(running, 5)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_idle_dispatch_tells_at_once_and_survives_a_fault() -> None:
    async with listening() as heard:
        await settle()
        heard.dispatch.events(events("A", "Broken", "B"))
        assert heard.told == ["up", "A", "Broken", "B"]
        assert (heard.tally.events, heard.tally.callback_errors, heard.dispatch.queued) == (3, 1, 0)


async def test_what_comes_while_the_up_is_told_waits_behind_it() -> None:
    async with listening() as heard:
        heard.gate.clear()
        await settle()
        heard.dispatch.events(events("A"))
        await settle()
        assert heard.told == []
        heard.gate.set()
        await settle()
        heard.dispatch.events(events("B"))
        assert heard.told == ["up", "A", "B"]


async def test_an_event_never_overtakes_what_is_queued() -> None:
    async with listening() as heard:
        await settle()
        heard.dispatch.down(DOWN)
        heard.dispatch.up(UP)
        heard.dispatch.events(events("A"))
        assert heard.told == ["up"]
        await settle()
        assert heard.told == ["up", "down", "up", "A"]


async def test_many_events_leave_the_loop_its_turn() -> None:
    async with listening() as heard:
        await settle()
        heard.dispatch.events(events(*["A"] * 300))
        assert heard.told == ["up"]
        await settle()
        assert heard.told == ["up", *["A"] * 300]
