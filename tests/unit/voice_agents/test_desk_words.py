"""Agents that read and write words: speech is ours, the ending and the interruption are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Stage
from voice_agents.core.agent import BargeIn, BargeMode, DialectName, Greeting
from voice_agents.core.record import How
from voice_agents.core.talk import (
    Ack,
    CallerAudio,
    HangUp,
    Interrupted,
    Language,
    Ready,
    SpeechStarted,
    Utterance,
    Words,
)
from voice_agents.fakes_speech import SOUND

pytestmark = pytest.mark.unit

AGENT = replace(SPEC, dialect=DialectName.BUILTIN, barge_in=BargeIn(BargeMode.CLEAR))


async def over(stage: Stage) -> None:
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    assert stage.around.tally.broken == 0
    assert all(front.closed for front in stage.fronts.fronts)
    await stage.close()


@in_virtual_time
async def test_words_are_spoken_and_heard_words_are_told() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.line.say(Words("How can I help you?"))
    await stage.pass_s(1.6)
    assert {octet for _, octet in caller.heard_at} == {SOUND}
    assert stage.told(CallerAudio) == []
    assert stage.front.heard > 50
    stage.front.understands("a table", 1700, 2300)
    assert stage.told(Utterance) == [Utterance("a table", 1700, 2300, 0.9)]
    stage.line.say(Language("de-DE"))
    assert stage.front.languages == [Language("de-DE")]
    turns = [(t.role, t.said, t.heard, t.source) for t in stage.session().turns]
    assert turns == [
        ("agent", "How can I help you?", "How can I help you?", "agent"),
        ("caller", "a table", "a table", "gateway"),
    ]
    await over(stage)


@in_virtual_time
async def test_a_goodbye_in_words_is_heard_before_the_hang_up_though_it_was_no_sound_yet() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.line.say(Words("Goodbye and thank you."), HangUp())
    record = await stage.until_over()
    ((hung_up_at, _),) = stage.control.of("hang_up")
    assert len(caller.heard_at) == 66
    assert hung_up_at - caller.heard_at[-1][0] >= 0.38
    assert record.turns[-1].heard == "Goodbye and thank you."
    await stage.close()


@pytest.mark.parametrize("acks", [True, False])
@in_virtual_time
async def test_a_farewell_in_words(acks: bool) -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    ending = stage.loop.create_task(stage.desk.end("call_1"))
    await stage.pass_s(0.3)
    stage.line.say(Words("Goodbye"))
    if acks:
        stage.line.say(Ack())
    assert await ending
    record = await stage.until_over()
    assert len(caller.heard_at) == 21
    assert record.evidence is not None
    assert record.evidence.how is (How.ACKED if acks else How.FAREWELL_HEARD)
    await stage.close()


@in_virtual_time
async def test_an_interruption_stops_what_is_not_sound_yet() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.line.say(Words("one two three four five six seven eight nine ten", last=False))
    await stage.pass_s(1.0)
    caller.speaks = 0x55
    await stage.pass_s(0.3)
    caller.speaks = 0
    assert stage.front.stops == 1
    (interrupted,) = stage.told(Interrupted)
    assert interrupted.heard_text.startswith("one two")  # type: ignore[union-attr]
    assert "six" not in interrupted.heard_text  # type: ignore[union-attr]
    heard = len(caller.heard_at)
    stage.line.say(Words("eleven twelve", last=True))  # the rest of what was dropped
    await stage.pass_s(2.0)
    assert len(caller.heard_at) == heard
    stage.line.say(Words("Sorry?"), HangUp())
    await stage.until_over()
    assert len(caller.heard_at) == heard + 18
    await stage.close()


@in_virtual_time
async def test_an_uninterruptible_turn_guards_its_own_sound_alone() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.line.say(
        Words("You may."), Words("This call is recorded.", interruptible=False), Words("Now again.")
    )
    await stage.pass_s(0.9)
    caller.speaks = 0x55
    await stage.pass_s(0.7)
    caller.speaks = 0
    assert stage.told(Interrupted) == []
    await stage.pass_s(0.7)
    caller.speaks = 0x55
    await stage.pass_s(0.7)
    assert len(stage.told(Interrupted)) == 1
    await over(stage)


@in_virtual_time
async def test_in_conversation_relay_the_greeting_is_ours_to_speak() -> None:
    greeting = Greeting("Welcome to the desk.", uninterruptible=True)
    stage = Stage(replace(AGENT, dialect=DialectName.CONVERSATION_RELAY, greeting=greeting))
    caller = await stage.talk()
    await stage.pass_s(0.5)
    caller.speaks = 0x55
    await stage.pass_s(1.5)
    assert stage.session().turns[0].heard == "Welcome to the desk."
    assert stage.told(Interrupted) == []
    await over(stage)


@in_virtual_time
async def test_an_agent_that_hears_may_have_our_transcript_too() -> None:
    stage = Stage(SPEC)
    stage.fake_lines.silent = True
    prepared = await stage.prepare()
    await stage.pass_s(0.1)
    stage.line.say(Ready(("transcripts",)))
    caller = stage.come(prepared)
    await stage.pass_s(0.2)
    caller.speaks = 0x55
    await stage.pass_s(0.5)
    stage.front.understands("hello", 200, 600)
    assert len(stage.told(CallerAudio)) > 30
    assert stage.front.heard > 30
    assert len(stage.told(Utterance)) == 1
    assert len(stage.told(SpeechStarted)) == 1
    await over(stage)
