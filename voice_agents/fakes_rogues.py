"""Agents that misbehave, as lines that live in the test. Each takes hold of a ``FakeAgentLine`` that was just
opened: ``FakeLines().on_open = Rogue.flooder(...).take``."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine

from voice_agents.core.audio import FRAME_MS
from voice_agents.core.talk import Audio, CallerAudio, Malformed, Mark, MarkReached, Told
from voice_agents.fakes_lines import FakeAgentLine

_FRAME_S = FRAME_MS / 1000
_LOUD = 0x31

Behaviour = Callable[["Rogue", FakeAgentLine], Coroutine[object, object, None]]


class Rogue:
    """One kind of misbehaviour. ``lines`` are those it has had hold of; ``stop`` lets go of all."""

    def __init__(self, behaviour: Behaviour, seed: int = 1) -> None:
        self._behaviour = behaviour
        self.chance = random.Random(seed)
        self.lines: list[FakeAgentLine] = []
        self._tasks: list[asyncio.Task[None]] = []

    def take(self, line: FakeAgentLine) -> None:
        """Behave badly on this line from now on."""
        self.lines.append(line)
        self._tasks.append(asyncio.get_running_loop().create_task(self._run(line)))

    async def _run(self, line: FakeAgentLine) -> None:
        await self._behaviour(self, line)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


async def echo(rogue: Rogue, line: FakeAgentLine) -> None:
    """Says what the caller says, at once."""
    tell = line.tell

    def told(told: Told) -> bool:
        taken = tell(told)
        if isinstance(told, CallerAudio):
            line.say(Audio(told.frame))
        return taken

    line.tell = told  # type: ignore[method-assign]


async def talker(rogue: Rogue, line: FakeAgentLine) -> None:
    """Talks without end, whatever it is told."""
    sound = bytes((_LOUD,)) * line.begin.codec.frame_bytes
    while line.closed is None:
        line.say(Audio(sound))
        await asyncio.sleep(_FRAME_S)


async def flooder(rogue: Rogue, line: FakeAgentLine) -> None:
    """Sends ten times as fast as anybody hears, whatever it is told."""
    sound = bytes((_LOUD,)) * (10 * line.begin.codec.frame_bytes)
    while line.closed is None:
        line.say(Audio(sound))
        await asyncio.sleep(_FRAME_S)


async def slow_reader(rogue: Rogue, line: FakeAgentLine) -> None:
    """Reads for half a second and does not for the next."""
    while line.closed is None:
        await asyncio.sleep(0.5)
        line.behind = not line.behind


async def stopped(rogue: Rogue, line: FakeAgentLine) -> None:
    """Stops after a second: takes nothing, says nothing, and its connection stays."""
    await asyncio.sleep(1.0)
    line.tell = lambda told: False  # type: ignore[method-assign]
    line.say = lambda *said: None  # type: ignore[method-assign]


async def half_open(rogue: Rogue, line: FakeAgentLine) -> None:
    """Shakes hands and never says that it is ready."""
    line.say = lambda *said: None  # type: ignore[method-assign]


async def random_closer(rogue: Rogue, line: FakeAgentLine) -> None:
    """Breaks its connection within three seconds."""
    await asyncio.sleep(rogue.chance.uniform(0.05, 3.0))
    line.lose("closed")


async def late_marks(rogue: Rogue, line: FakeAgentLine) -> None:
    """Sets two marks a frame, of one name and of enormous names, and long after the sound they are about."""
    sound = bytes((_LOUD,)) * line.begin.codec.frame_bytes
    for n in range(200):
        line.say(Audio(sound))
        if n > 50:
            line.say(Mark("same"), Mark("x" * 4000))
        await asyncio.sleep(_FRAME_S)


async def wrong_rate(rogue: Rogue, line: FakeAgentLine) -> None:
    """Sends sound of half the agreed rate, in real time."""
    sound = bytes((_LOUD,)) * (line.begin.codec.frame_bytes // 2)
    while line.closed is None:
        line.say(Audio(sound))
        await asyncio.sleep(_FRAME_S)


async def malformed(rogue: Rogue, line: FakeAgentLine) -> None:
    """Says what nobody understands."""
    await asyncio.sleep(0.5)
    while line.closed is None:
        line.say(Malformed("not JSON"))
        await asyncio.sleep(0.1)


def reached(line: FakeAgentLine) -> list[MarkReached]:
    """The marks that this agent was told of."""
    return [told for told in line.told if isinstance(told, MarkReached)]
