"""How long the desk waits: for a caller's voice and sound, for an end, for a drain, for a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from telephony.errors import AgentUnavailable
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.caller_leaves import over
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Stage, other_call
from voice_agents.core.agent import Silence
from voice_agents.core.record import State
from voice_agents.core.talk import CallerSilent, CallerWords, Ending, Reason

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_caller_whose_sound_stops_is_given_up_after_ten_seconds() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    caller.sends = False
    stopped_at = stage.now()
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.reason is Reason.MEDIA_LOST
    assert 9.9 <= record.evidence.asked_at - stopped_at <= 10.2
    assert stage.control.of("hang_up")
    await stage.close()


@in_virtual_time
async def test_a_silent_caller_is_asked_and_then_the_call_ends(tmp_path: Path) -> None:
    stage = Stage(replace(SPEC, silence=Silence(5, 2, "Are you there?")), folder=tmp_path)
    await stage.talk()
    began = stage.now()
    record = await stage.until_over()
    assert stage.voice is not None
    assert stage.voice.spoken == ["Are you there?"] * 2
    assert record.evidence is not None
    assert record.evidence.reason is Reason.SILENCE
    assert 14.5 <= record.evidence.asked_at - began <= 15.5
    assert len([turn for turn in record.turns if turn.role == "gateway"]) == 2
    await stage.close()


@in_virtual_time
async def test_without_a_prompt_the_agent_is_told_to_ask() -> None:
    stage = Stage(replace(SPEC, silence=Silence(5, 2)))
    caller = await stage.talk()
    await stage.pass_s(6.0)
    assert stage.told(CallerSilent) == [CallerSilent(5000, 1, 1)]
    caller.speaks = 0x55
    await stage.pass_s(1.0)
    caller.speaks = 0
    stage.line.say(CallerWords("yes"))
    await stage.pass_s(6.0)
    assert stage.told(CallerSilent)[-1] == CallerSilent(5000, 1, 1)
    await over(stage)


@in_virtual_time
async def test_a_line_that_hums_does_not_keep_the_call_for_ever() -> None:
    stage = Stage(replace(SPEC, silence=Silence(5, 2, "", 30)))
    caller = await stage.talk()
    caller.speaks = 0x05
    began = stage.now()
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.reason is Reason.SILENCE
    assert record.evidence.asked_at - began <= 30.5
    await stage.close()


@in_virtual_time
async def test_the_agent_is_warned_before_the_longest_duration() -> None:
    stage = Stage(replace(SPEC, max_duration_s=90))
    await stage.talk()
    bridged = stage.session().bridged_at or 0.0
    await stage.until(lambda: bool(stage.told(Ending)))
    assert stage.told(Ending) == [Ending(Reason.MAX_DURATION, "gateway", 30_000, True, final=False)]
    assert stage.now() - bridged == pytest.approx(60.0, abs=0.1)
    await stage.until_over()
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert 85 <= hung_up_at - bridged <= 90
    await stage.close()


@in_virtual_time
async def test_a_drain_takes_no_new_calls_and_tells_agents_late() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    began = stage.now()
    draining = stage.loop.create_task(stage.desk.drain(20.0))
    await stage.pass_s(1.0)
    with pytest.raises(AgentUnavailable):
        await stage.prepare(other_call(2))
    assert stage.told(Ending) == []
    await draining
    (told,) = stage.told(Ending)
    assert told == Ending(Reason.DRAIN, "gateway", 2000, True)
    evidence = stage.session().evidence
    assert evidence is not None
    assert evidence.asked_at - began == pytest.approx(15.0, abs=0.05)
    assert stage.now() - began <= 25.0
    await stage.close()


@in_virtual_time
async def test_a_store_that_is_away_gets_the_record_once_it_is_back() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    stage.store.away = True
    stage.desk.caller_gone("call_1")
    await stage.pass_s(8.0)
    assert stage.desk.session_of("call_1") is not None, "it is kept in sight until it is stored"
    stage.store.away = False
    record = await stage.until_over()
    assert stage.store.kept[record.id].state is State.ENDED
    await stage.close()
