"""Agents that misbehave: each ends in a state that has a name, within its deadlines, and the call next to it
notices nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Stage, tone
from voice_agents import fakes_rogues as rogues
from voice_agents import loop
from voice_agents.core.agent import AgentSpec, Fallback
from voice_agents.core.audio import Codec
from voice_agents.core.facts import Fact
from voice_agents.core.record import How, SessionRecord, State
from voice_agents.core.session import Patience, Session, Step
from voice_agents.core.talk import Ack, Audio, Ending, Fault, FlowPaused, Reason
from voice_agents.fakes_lines import FakeAgentLine
from voice_agents.fakes_rogues import Behaviour, Rogue

pytestmark = pytest.mark.unit

GOOD = replace(SPEC, id="agt_good")
BAD = replace(SPEC, id="agt_bad")
CALL_GOOD = replace(CALL, call_id="call_good", agent_id="agt_good")
CALL_BAD = replace(CALL, call_id="call_bad", agent_id="agt_bad")
CODEC = Codec.SLIN16
_FRAME = tone(CODEC, 20, 0x44)


class Pair:
    """Two calls at one desk: one with a good agent that speaks all the time, one with a rogue."""

    def __init__(self, behaviour: Behaviour, bad: AgentSpec = BAD) -> None:
        self.stage = Stage(GOOD, bad, replace(SPEC, id="agt_2"))
        self.rogue = Rogue(behaviour)
        self.stage.fake_lines.on_open = self._opened
        self.good_line: FakeAgentLine | None = None

    def _opened(self, line: FakeAgentLine) -> None:
        if line.spec.id == "agt_bad":
            self.rogue.take(line)
        elif line.spec.id == "agt_good":
            self.good_line = line

    async def begin(self) -> None:
        self.good = await self.stage.talk(CALL_GOOD)
        self._speaking = self.stage.loop.create_task(self._speak())
        self.bad = await self.stage.talk(CALL_BAD)

    async def _speak(self) -> None:
        assert self.good_line is not None
        self.good_line.say(Audio(_FRAME * 5))
        while True:
            self.good_line.say(Audio(_FRAME))
            await asyncio.sleep(0.02)

    async def end(self, *, ends_by_itself: bool) -> SessionRecord:
        """End the rogue's call, then prove that the other one was well all the time."""
        if not ends_by_itself:
            assert await self.stage.desk.end("call_bad")
        record = await self.stage.until_over("call_bad")
        self._speaking.cancel()
        await self.stage.pass_s(0.3)
        times = [at for at, octet in self.good.heard_at if octet == 0x44]
        assert {octet for _, octet in self.good.heard_at} == {0x44}
        assert max(b - a for a, b in pairwise(times)) < 0.021, "a gap in another call"
        assert self.stage.session("call_good").state is State.TALKING
        assert self.good_line is not None
        ended = self.stage.loop.create_task(self.stage.desk.end("call_good"))
        await self.stage.pass_s(0.1)
        self.good_line.say(Ack())
        assert await ended
        good = await self.stage.until_over("call_good")
        assert good.evidence is not None
        assert good.evidence.how is How.ACKED
        self.rogue.stop()
        assert self.stage.desk.live_sessions == 0
        assert self.stage.around.tally.broken == 0
        await self.stage.close()
        return record


@in_virtual_time
async def test_a_fault_of_our_own_ends_its_call_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(rogues.echo)
    await pair.begin()
    whole = loop.step

    def broken(session: Session, fact: Fact, now: float, patience: Patience) -> Step:
        if session.terms.spec.id == BAD.id and session.over is None:
            raise ZeroDivisionError
        return whole(session, fact, now, patience)

    monkeypatch.setattr(loop, "step", broken)
    for digit in "123":
        pair.bad.leg.presses(digit)
    record = await pair.stage.until_over("call_bad")
    assert (record.state, record.failure) == (State.FAILED, "broken")
    assert pair.stage.control.of("hang_up", "call_bad")
    assert pair.rogue.lines[0].closed == 1011
    assert pair.stage.around.tally.broken == 3
    pair.stage.around.tally.broken = 0
    await pair.end(ends_by_itself=True)


@in_virtual_time
async def test_an_echo() -> None:
    pair = Pair(rogues.echo)
    await pair.begin()
    pair.bad.speaks = 0x55
    await pair.stage.pass_s(2.0)
    pair.bad.speaks = 0
    await pair.stage.pass_s(2.0)
    assert 0x55 in {octet for _, octet in pair.bad.heard_at}
    record = await pair.end(ends_by_itself=False)
    assert record.state is State.ENDED


@in_virtual_time
async def test_a_talker_is_cut_off_at_the_end() -> None:
    pair = Pair(rogues.talker)
    await pair.begin()
    await pair.stage.pass_s(5.0)
    record = await pair.end(ends_by_itself=False)
    assert record.evidence is not None
    assert record.evidence.how is How.DEADLINE
    assert record.evidence.hung_up_at is not None
    assert record.evidence.hung_up_at - record.evidence.asked_at < 15.5


@in_virtual_time
async def test_a_flooder_is_asked_to_wait_and_then_dropped() -> None:
    pair = Pair(rogues.flooder)
    await pair.begin()
    record = await pair.end(ends_by_itself=True)
    line = pair.rogue.lines[0]
    assert FlowPaused(True) in line.told
    assert any(isinstance(told, Fault) and told.code == "audio_overflow" for told in line.told)
    assert line.closed == 4413
    assert len(pair.rogue.lines) == 1, "it is not tried again"
    assert record.evidence is not None
    assert (record.evidence.reason, record.failure) == (Reason.AGENT_LOST, "flood")


@in_virtual_time
async def test_a_slow_reader_goes_without_some_of_the_callers_sound() -> None:
    pair = Pair(rogues.slow_reader)
    await pair.begin()
    await pair.stage.pass_s(8.0)
    assert len(pair.rogue.lines) == 1
    record = await pair.end(ends_by_itself=False)
    assert record.figures.unsent_frames > 100
    assert record.figures.reconnects == 0
    assert record.evidence is not None
    assert record.evidence.agent_notified_at is not None


@in_virtual_time
async def test_a_stopped_agent_is_looked_for_and_then_given_up() -> None:
    pair = Pair(rogues.stopped)
    await pair.begin()
    record = await pair.end(ends_by_itself=True)
    assert pair.rogue.lines[0].closed == 1011
    assert 3 <= len(pair.rogue.lines) <= 20
    assert record.evidence is not None
    assert (record.evidence.reason, record.failure) == (Reason.AGENT_LOST, "stuck")
    assert record.state is State.ENDED
    assert record.ended_at is not None
    assert record.ended_at - record.created_at < 45


@in_virtual_time
async def test_an_agent_that_never_is_ready_is_given_up_while_it_rings() -> None:
    stage = Stage(BAD)
    rogue = Rogue(rogues.half_open)
    stage.fake_lines.on_open = rogue.take
    stage.fake_lines.silent = True
    prepared = await stage.prepare(CALL_BAD)
    caller = stage.come(prepared, "call_bad")
    record = await stage.until_over("call_bad")
    assert not caller.leg.answered
    assert rogue.lines[0].closed == 4408
    assert record.state is State.FAILED
    assert record.ended_at is not None
    assert 5.0 <= record.ended_at - record.created_at <= 5.5
    assert stage.control.of("hang_up", "call_bad")[0][1] == "agent_lost"
    await stage.close()


@in_virtual_time
async def test_a_random_closer_is_left_for_the_one_that_stands_in() -> None:
    pair = Pair(rogues.random_closer, replace(BAD, fallback=Fallback("agt_2")))
    await pair.begin()
    await pair.stage.until(lambda: pair.stage.session("call_bad").answered_by == "agt_2")
    line = pair.stage.line
    assert line.begin.resumed_turns is not None
    await pair.stage.pass_s(1.0)
    record = await pair.end(ends_by_itself=False)
    assert record.figures.reconnects >= 3
    assert record.evidence is not None
    assert record.evidence.agent_notified_at is not None
    assert any(isinstance(told, Ending) for told in line.told)


@in_virtual_time
async def test_late_marks_and_enormous_ones_are_all_told() -> None:
    pair = Pair(rogues.late_marks)
    await pair.begin()
    await pair.stage.pass_s(6.0)
    reached = rogues.reached(pair.rogue.lines[0])
    assert len(reached) == 2 * 149
    assert all(mark.heard for mark in reached)
    await pair.end(ends_by_itself=False)


@in_virtual_time
async def test_sound_of_another_rate_is_told_of() -> None:
    pair = Pair(rogues.wrong_rate)
    await pair.begin()
    await pair.stage.pass_s(4.0)
    faults = [told for told in pair.rogue.lines[0].told if isinstance(told, Fault)]
    assert [fault.code for fault in faults] == ["audio_rate_mismatch"]
    await pair.end(ends_by_itself=False)


@in_virtual_time
async def test_nonsense_is_borne_ten_times() -> None:
    pair = Pair(rogues.malformed)
    await pair.begin()
    record = await pair.end(ends_by_itself=True)
    line = pair.rogue.lines[0]
    assert line.closed == 4400
    assert sum(isinstance(told, Fault) for told in line.told) == 10
    assert (record.figures.malformed, record.failure) == (10, "malformed")
