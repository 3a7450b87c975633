"""Who falls silent when both speak: the agent's words, and ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.caller_leaves import over
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Stage
from voice_agents.core.agent import BargeIn, BargeMode
from voice_agents.core.record import State
from voice_agents.core.talk import (
    CallerSpoke,
    CallerWords,
    Caption,
    Clear,
    Guard,
    Interrupted,
    Mark,
    MarkReached,
    SpeechStarted,
    SpeechStopped,
)

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_guarded_words_are_not_interrupted_and_the_next_are() -> None:
    stage = Stage(replace(SPEC, barge_in=BargeIn(BargeMode.CLEAR)))
    caller = await stage.talk()
    stage.line.say(Guard(True))
    stage.speak(1000, 0x21)
    stage.line.say(Guard(False))
    stage.speak(2000, 0x22)
    await stage.pass_s(0.3)
    caller.speaks = 0x55
    await stage.pass_s(0.4)
    caller.speaks = 0
    await stage.pass_s(0.6)
    octets = [octet for _, octet in caller.heard_at]
    assert octets.count(0x21) == 50
    caller.speaks = 0x55
    await stage.pass_s(0.5)
    assert len(stage.told(Interrupted)) == 1
    assert [octet for _, octet in caller.heard_at].count(0x22) < 40
    await over(stage)


@pytest.mark.parametrize("mode", list(BargeMode))
@in_virtual_time
async def test_what_each_mode_does(mode: BargeMode) -> None:
    stage = Stage(replace(SPEC, barge_in=BargeIn(mode)))
    caller = await stage.talk()
    stage.speak(3000)
    await stage.pass_s(0.5)
    caller.speaks = 0x55
    await stage.pass_s(1.5)
    caller.speaks = 0
    cleared = mode in (BargeMode.CLEAR, BargeMode.PAUSE)
    assert bool(stage.told(Interrupted)) is cleared
    assert bool(stage.told(SpeechStarted)) is (mode is not BargeMode.OFF)
    caller.leg.presses("1")
    await stage.pass_s(3.0)
    assert bool(stage.told(Interrupted)) is (cleared or mode is BargeMode.DTMF)
    assert bool(stage.told(SpeechStopped)) is (mode is not BargeMode.OFF)
    whole = mode in (BargeMode.OFF, BargeMode.NOTIFY)
    assert (len(caller.heard_at) == 150) is whole
    await over(stage)


@in_virtual_time
async def test_the_agents_own_detection_and_its_clear_drop_at_once() -> None:
    stage = Stage(replace(SPEC, barge_in=BargeIn(BargeMode.OFF)))
    caller = await stage.talk()
    stage.line.say(Caption("one two three four"))
    stage.speak(2000)
    stage.line.say(Mark("end"))
    await stage.pass_s(0.5)
    stage.line.say(CallerSpoke())
    assert len(stage.told(Interrupted)) == 1
    assert stage.told(MarkReached) == [MarkReached("end", heard=False)]
    stage.speak(1000, 0x23)  # its answer, at once
    await stage.pass_s(0.3)
    assert caller.heard_at[-1][1] == 0x23
    stage.line.say(Clear())
    heard = len(caller.heard_at)
    await stage.pass_s(0.5)
    assert len(caller.heard_at) == heard
    assert len(stage.told(Interrupted)) == 1
    first, second = (turn for turn in stage.session().turns if turn.role == "agent")
    assert (first.said, first.heard, first.interrupted) == ("one two three four", "one", True)
    assert second.interrupted
    await over(stage)


@in_virtual_time
async def test_words_that_were_understood_settle_a_pause_at_once() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.speak(3000)
    await stage.pass_s(0.5)
    caller.speaks = 0x55
    await stage.until(lambda: stage.session().state is State.PAUSED)
    stage.line.say(CallerWords("stop"))
    assert len(stage.told(Interrupted)) == 1
    await over(stage)


@in_virtual_time
async def test_say_speaks_for_us(tmp_path: Path) -> None:
    stage = Stage(SPEC, folder=tmp_path)
    caller = await stage.talk()
    for guarded in (True, False):
        await stage.desk.say("call_1", "Please hold the line.", interruptible=not guarded)
        await stage.pass_s(0.3)
        caller.speaks = 0x55
        await stage.pass_s(1.5)
        caller.speaks = 0
        await stage.pass_s(1.0)
    first, second = (turn for turn in stage.session().turns if turn.role == "gateway")
    assert (first.heard, first.interrupted) == ("Please hold the line.", False)
    assert (second.heard, second.interrupted) == ("", True)
    await over(stage)
