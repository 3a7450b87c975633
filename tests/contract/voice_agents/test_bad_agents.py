"""The agents that misbehave do so, in either dialect: what later tests build on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.rig import agents_bad
from tests.rig.agent_lines import BEGIN, PATIENT, SOON_S, Ear, to_loopback
from tests.rig.agent_servers import Behaviour, serving
from tests.rig.conversations import spec_of
from voice_agents.core.audio import Codec
from voice_agents.core.talk import Answered, Audio, CallerAudio, Malformed, Mark, MarkReached, Ready
from voice_agents.lines.socket_line import LineLimits, SocketLines
from voice_agents.ports import AgentLine

pytestmark = pytest.mark.contract

DIALECTS = ["native", "twilio"]
FRAME = bytes(range(160))


@asynccontextmanager
async def called(
    behaviour: Behaviour, dialect: str, codec: Codec = Codec.ULAW
) -> AsyncIterator[tuple[AgentLine, Ear]]:
    ear = Ear()
    async with serving(behaviour) as server:
        limits = replace(PATIENT, close_s=0.1)
        lines = SocketLines(to_loopback, wall=time.time, limits=limits)
        spec = spec_of({"dialect": dialect, "url": server.url})
        line = await lines.open(spec, replace(BEGIN, codec=codec), ear)
        assert await ear.next() == Ready()
        line.tell(Answered())
        yield line, ear
        await line.close()


async def ms_until(ear: Ear, enough: Callable[[int], bool]) -> int:
    """How much sound came once it is enough."""
    ms = 0
    async with asyncio.timeout(SOON_S):
        while not enough(ms):
            said = await ear.heard.get()
            ms += Codec.ULAW.ms(len(said.data)) if isinstance(said, Audio) else 0
    return ms


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_echo_gives_back_what_it_hears(dialect: str):
    async with called(agents_bad.echo, dialect) as (line, ear):
        for _ in range(3):
            line.tell(CallerAudio(FRAME, 0))
        assert [await ear.next() for _ in range(3)] == [Audio(FRAME)] * 3


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_talker_talks_as_fast_as_one_hears_and_the_flooder_much_faster(dialect: str):
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with called(agents_bad.talker, dialect) as (_, ear):
        said_ms = await ms_until(ear, lambda ms: ms >= 400)
        assert said_ms <= 1000 * (loop.time() - began) + 20
    began = loop.time()
    async with called(agents_bad.flooder, dialect) as (_, ear):
        await ms_until(ear, lambda ms: ms >= max(3_000, 3_000 * (loop.time() - began)))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_wrong_rate_is_twice_the_right_one(dialect: str):
    async with called(agents_bad.wrong_rate, dialect) as (_, ear):
        said = await ear.next()
        assert isinstance(said, Audio)
        assert len(said.data) == 2 * Codec.ULAW.frame_bytes


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_nonsense_is_nonsense_in_both(dialect: str):
    async with called(agents_bad.malformed, dialect) as (_, ear):
        assert isinstance(await ear.next(), Malformed)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_marks_come_late(dialect: str):
    async with called(agents_bad.late_marker(0.3), dialect) as (line, ear):
        assert isinstance(await ear.next(), Audio)
        assert await ear.next() == Mark("late")
        assert line.tell(MarkReached("late")) is True


@pytest.mark.parametrize("seed", range(8))
async def test_the_random_closer_is_gone_soon(seed: int):
    async with called(agents_bad.random_closer(seed, 0.2), "native") as (line, ear):
        async with asyncio.timeout(SOON_S):
            while line.tell(CallerAudio(FRAME, 0)):
                await ear.heard.get()


@pytest.mark.parametrize("behaviour", [agents_bad.never_ready, agents_bad.half_open])
async def test_some_never_take_the_call(behaviour: Behaviour):
    async with serving(behaviour) as server:
        ear = Ear()
        lines = SocketLines(to_loopback, wall=time.time, limits=LineLimits(connect_s=SOON_S, close_s=0.05))
        line = await lines.open(spec_of({"dialect": "native", "url": server.url}), BEGIN, ear)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ear.heard.get()
        await line.close(4408)


def test_tones_are_as_long_as_they_are_said_to_be():
    assert len(agents_bad.tone("ulaw", 8000, 20)) == 160
    assert len(agents_bad.tone("slin16", 16000, 20)) == 640
    assert len(agents_bad.tone("slin24", 24000, 15)) == 720
    assert set(agents_bad.BAD) >= {
        "talker",
        "flooder",
        "slow_reader",
        "stopped",
        "half_open",
        "random_closer",
    }
