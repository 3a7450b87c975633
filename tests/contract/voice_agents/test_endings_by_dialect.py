"""Whoever ends a session, in whatever dialect: the agent is told first, and its last word is heard.

The desk and its sessions are the product's, the agents are servers on sockets, the caller is a stand-in that
writes down every frame it hears.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.rig.agent_lines import PATIENT, SOON_S, to_loopback
from tests.rig.agent_servers import Socket, serving
from tests.rig.agents_bad import Tongue
from tests.rig.conversations import spec_of
from tests.rig.openai_double import MS_A_CHARACTER, Reply, openai_double
from tests.unit.voice_agents.stage import CALL, FRAME_S, Caller, Stage, tone
from voice_agents.core.agent import AgentSpec, Auth, BargeIn, BargeMode, Shutdown
from voice_agents.core.audio import Codec
from voice_agents.core.record import SessionRecord, State
from voice_agents.core.talk import Reason
from voice_agents.fakes_speech import SOUND
from voice_agents.lines.socket_line import SocketLines

pytestmark = pytest.mark.contract

GREETING, FAREWELL = 0x11, 0x22
FAREWELL_MS = 300
CALL_ID = "call_01KACWXR00000000000000007A"
SHUTDOWN = {
    "twilio": Shutdown(deadline_ms=4000, tail_ms=100, summary_ms=1500),
    "openai": Shutdown(deadline_ms=30_000, tail_ms=100, summary_ms=30_000),
}
PATIENT_SHUTDOWN = Shutdown(deadline_ms=30_000, tail_ms=100, summary_ms=1500)
"""Long where nothing but a fault is waited for: one dialect has no word for the end of a farewell, and only a
model's account is asked for."""


@dataclass
class Bot:
    """A good agent of one dialect. ``leaves``: it hangs up by itself once it has greeted."""

    dialect: str
    leaves: bool = False
    told: list[str] = field(default_factory=list)

    async def behave(self, socket: Socket) -> None:
        await (self._relay(socket) if self.dialect == "conversationrelay" else self._sound(socket))

    async def _sound(self, socket: Socket) -> None:
        tongue = Tongue(socket)
        await tongue.begin()
        size = len(tongue.frame)
        tongue.sound(bytes((GREETING,)) * (size * 10))
        if self.leaves:
            self._farewell(tongue, size)
            if self.dialect == "twilio":
                socket.close(1000)
                return
            socket.send({"type": "hangup"})
        async for heard in tongue.hear():
            if heard.kind in ("ending", "ended"):
                self.told.append(heard.kind)
            if heard.kind == "ending" and not self.leaves:
                self._farewell(tongue, size)
                if self.dialect == "native":
                    socket.send({"type": "session.ack"})

    def _farewell(self, tongue: Tongue, size: int) -> None:
        tongue.sound(bytes((FAREWELL,)) * (size * FAREWELL_MS // 20))

    async def _relay(self, socket: Socket) -> None:
        await socket.event("setup")
        socket.send({"type": "text", "token": "Hello.", "last": True})
        if self.leaves:
            socket.send({"type": "text", "token": "Goodbye.", "last": True})
            socket.send({"type": "end"})
        await socket.event("x-session-ending")
        self.told.append("ending")
        if not self.leaves:
            socket.send({"type": "text", "token": "Goodbye.", "last": True})
        await socket.gone.wait()


@asynccontextmanager
async def reached(
    dialect: str, *, leaves: bool = False
) -> AsyncIterator[tuple[AgentSpec, Callable[[], list[str]]]]:
    """An agent of this dialect, and what it was told of the end."""
    if dialect == "openai":
        calls = (("hang_up", '{"reason":"done"}'),) if leaves else ()
        replies = [Reply("Hello there.", calls), Reply("Goodbye, goodbye.")]
        async with openai_double(replies=replies) as double:
            spec = spec_of({"dialect": dialect, "url": double.url, "auth": Auth("none")})
            greeting = replace(spec.greeting, text="Hello there.")
            spec = replace(spec, greeting=greeting)
            yield spec, lambda: ["ending"] * ("about to end" in str(double.sessions[0].taken))
        return
    bot = Bot(dialect, leaves)
    async with serving(bot.behave) as server:
        parameters = (("x-session-ending", "on"),) if dialect == "conversationrelay" else ()
        codec = "slin16" if dialect == "conversationrelay" else "ulaw"
        spec = spec_of({"dialect": dialect, "url": server.url, "codec": codec, "parameters": parameters})
        yield spec, lambda: bot.told


@asynccontextmanager
async def talking(spec: AgentSpec) -> AsyncIterator[tuple[Stage, Caller]]:
    shutdown = SHUTDOWN.get(spec.dialect.value, PATIENT_SHUTDOWN)
    ready = replace(spec, id="agt_1", shutdown=shutdown, barge_in=BargeIn(BargeMode.OFF))
    stage = Stage(ready, lines=socket_lines())
    call = replace(CALL, call_id=CALL_ID)
    prepared = await stage.prepare(call)
    caller = stage.come(prepared, CALL_ID)
    await stage.until(lambda: len(caller.heard_at) > 2, SOON_S)
    try:
        yield stage, caller
    finally:
        await stage.close()
    assert stage.around.tally.broken == 0


async def frames(stage: Stage, caller: Caller, count: int) -> None:
    """So many frames go by both ways, however long that takes here."""
    passed = len(caller.leg.heard) + count
    await stage.until(lambda: len(caller.leg.heard) >= passed, SOON_S)


def farewell_ms(spec: AgentSpec, caller: Caller) -> int:
    """How much of the last word was heard."""
    octets = [octet for _, octet in caller.heard_at]
    if spec.dialect.value in ("native", "twilio"):
        return 20 * octets.count(FAREWELL)
    if spec.dialect.value == "conversationrelay":
        return 20 * octets.count(SOUND)
    return 20 * len(octets)


def wanted_ms(spec: AgentSpec) -> int:
    if spec.dialect.value == "openai":
        return len("Hello there." + "Goodbye, goodbye.") * MS_A_CHARACTER
    if spec.dialect.value == "conversationrelay":
        return len("Hello." + "Goodbye.") * 60
    return FAREWELL_MS


def told_before_the_end(record: SessionRecord) -> bool:
    evidence = record.evidence
    assert evidence is not None
    assert evidence.agent_notified_at is not None
    return evidence.hung_up_at is not None and evidence.agent_notified_at <= evidence.hung_up_at


DIALECTS = ["native", "twilio", "conversationrelay", "openai"]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_api_ends_it_and_the_farewell_is_heard(dialect: str):
    async with reached(dialect) as (spec, told), talking(spec) as (stage, caller):
        assert await stage.desk.end(CALL_ID)
        record = await stage.until_over(CALL_ID)
        assert record.state is State.ENDED
        assert record.evidence is not None
        assert record.evidence.reason is Reason.API
        assert record.evidence.words_lost_ms == 0
        assert told_before_the_end(record)
        assert "ending" in told()
        assert farewell_ms(spec, caller) == wanted_ms(spec)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_agent_ends_it_and_all_it_said_is_heard(dialect: str):
    async with reached(dialect, leaves=True) as (spec, _), talking(spec) as (stage, caller):
        record = await stage.until_over(CALL_ID)
        assert record.state is State.ENDED
        assert record.evidence is not None
        assert record.evidence.reason is Reason.AGENT
        assert record.evidence.words_lost_ms == 0
        missing = len("Goodbye, goodbye.") * MS_A_CHARACTER if dialect == "openai" else 0
        assert farewell_ms(spec, caller) == wanted_ms(spec) - missing


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_caller_leaves_and_the_agent_is_told(dialect: str):
    async with reached(dialect) as (spec, told), talking(spec) as (stage, _):
        stage.desk.caller_gone(CALL_ID)
        record = await stage.until_over(CALL_ID)
        assert record.state is State.ENDED
        assert record.evidence is not None
        assert record.evidence.reason is Reason.CALLER
        assert record.evidence.agent_notified_at is not None
        if dialect == "openai":
            assert (record.summary, record.summary_by) == ("A call.", "agent")
        else:
            assert "ending" in told()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_agent_that_crashes_is_reached_again(dialect: str):
    """And goes on where it was: the caller is never hung up on."""
    async with reached(dialect) as (spec, _), talking(spec) as (stage, caller):
        path = stage.desk._live(CALL_ID).agent
        line: Any = path._line
        line._transport.disconnect(False)
        await stage.until(lambda: stage.session(CALL_ID).figures.reconnects == 1, SOON_S)
        assert caller.leg.gone is False
        assert await stage.desk.end(CALL_ID, force=True)
        await stage.until_over(CALL_ID)


async def test_what_the_agent_echoes_is_what_the_caller_said():
    async def echo(socket: Socket) -> None:
        tongue = Tongue(socket)
        await tongue.begin()
        async for heard in tongue.hear():
            if heard.kind == "sound":
                tongue.sound(heard.sound)

    async with serving(echo) as server:
        spec = spec_of({"dialect": "twilio", "url": server.url})
        stage = Stage(replace(spec, barge_in=BargeIn(BargeMode.OFF)), lines=socket_lines())
        prepared = await stage.prepare(replace(CALL, call_id=CALL_ID))
        caller = stage.come(prepared, CALL_ID)
        caller.speaks = 0x33
        await stage.until(lambda: len(caller.heard_at) >= 10, SOON_S)
        assert {octet for _, octet in caller.heard_at} == {0x33}
        assert caller.leg.sound[: Codec.ULAW.frame_bytes] == tone(Codec.ULAW, 20, 0x33)
        assert await stage.desk.end(CALL_ID, force=True)
        await stage.until_over(CALL_ID)
        await stage.close()
        await asyncio.sleep(FRAME_S)


async def test_a_model_knows_to_the_frame_what_was_heard_of_it():
    """It has made seconds more than the caller heard; what was not heard is no part of the conversation."""
    story = "This is a long story that somebody will speak over before it comes to its end. " * 2
    replies = [Reply("Hello there."), Reply(story), Reply("I see.")]
    async with openai_double(replies=replies) as double:
        spec = spec_of({"dialect": "openai", "url": double.url, "auth": Auth("none")})
        spec = replace(spec, greeting=replace(spec.greeting, text="Hello there."))
        stage = Stage(replace(spec, barge_in=BargeIn(BargeMode.CLEAR)), lines=socket_lines())
        prepared = await stage.prepare(replace(CALL, call_id=CALL_ID))
        caller = stage.come(prepared, CALL_ID)
        greeting_ms = len("Hello there.") * MS_A_CHARACTER
        await stage.until(lambda: len(caller.heard_at) * 20 >= greeting_ms, SOON_S)
        await frames(stage, caller, 10)
        caller.speaks = 0x0E
        await frames(stage, caller, 15)
        caller.speaks = 0
        await stage.until(lambda: len(caller.heard_at) * 20 >= greeting_ms + 500, SOON_S)
        caller.speaks = 0x0E
        await stage.until(lambda: bool(double.sessions[0].truncated), SOON_S)
        heard_ms = len(caller.heard_at) * 20 - greeting_ms
        ((item, told_ms),) = double.sessions[0].truncated.items()
        assert abs(told_ms - heard_ms) <= 40
        assert double.sessions[0].made_ms[item] > told_ms + 200
        caller.speaks = 0
        await stage.until(lambda: len(caller.heard_at) * 20 >= greeting_ms + heard_ms + 60, SOON_S)
        assert await stage.desk.end(CALL_ID, force=True)
        record = await stage.until_over(CALL_ID)
        assert record.figures.interruptions == 1
        cut = [turn.heard for turn in record.turns if turn.interrupted]
        assert story.startswith(cut[0])
        assert 0 < len(cut[0]) < len(story) / 2
        await stage.close()


def socket_lines() -> SocketLines:
    return SocketLines(to_loopback, wall=lambda: 0.0, limits=replace(PATIENT, close_s=0.2))


async def test_two_minutes_in_one_breath_are_no_fault():
    """A bot for Media Streams may send all it has; the session takes what it can hold, and the rest waits."""

    async def fluent(socket: Socket) -> None:
        tongue = Tongue(socket)
        await tongue.begin()
        for _ in range(4):
            tongue.sound(tongue.frame * (30_000 // 20))
        await socket.gone.wait()

    async with serving(fluent) as server, talking(spec_of({"dialect": "twilio", "url": server.url})) as held:
        stage, caller = held
        await stage.until(lambda: stage.session(CALL_ID).figures.agent_ms >= 24_000, SOON_S)
        await stage.pass_s(0.5)
        assert 20_000 <= caller.leg.queued_ms <= 27_000
        assert stage.session(CALL_ID).state is State.TALKING
        assert stage.session(CALL_ID).figures.dropped_ms == 0
        assert await stage.desk.end(CALL_ID, force=True)
        await stage.until_over(CALL_ID)
