"""A usual conversation: ringing, greeting, turns, an interruption, a goodbye that is heard to its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Stage
from voice_agents.core.record import How, State
from voice_agents.core.talk import Ack, Answered, Audio, Caption, Ended, Ending, Mark, MarkReached, Reason

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_a_conversation_from_the_ringing_to_the_last_word() -> None:
    stage = Stage(SPEC)
    prepared = await stage.prepare()
    await stage.pass_s(0.5)
    assert stage.session().state is State.READY
    stage.speak(200, 0x21)  # too early: the caller is not there yet
    caller = stage.come(prepared)
    assert caller.leg.answered
    await stage.pass_s(0.4)
    assert stage.told(Answered) == [Answered(0)]
    assert [octet for _, octet in caller.heard_at] == [0x21] * 10
    stage.line.say(Caption("How can I help?"), Mark("greeted"))
    stage.speak(400, 0x22)
    await stage.pass_s(0.6)
    assert stage.told(MarkReached) == [MarkReached("greeted")]

    ended = stage.loop.create_task(stage.desk.end("call_1"))
    await stage.pass_s(0.1)
    (ending,) = stage.told(Ending)
    assert ending == Ending(Reason.API, "api", 5000, True)
    stage.line.say(Caption("Goodbye!"))
    stage.speak(1000, 0x23)
    stage.line.say(Ack())
    assert await ended
    ((hung_up_at, why),) = stage.control.of("hang_up")
    assert why == "api_hangup"
    goodbye = [at for at, octet in caller.heard_at if octet == 0x23]
    assert len(goodbye) == 50
    assert hung_up_at - goodbye[-1] >= 0.38
    record = await stage.until_over()
    assert record.state is State.ENDED
    assert record.evidence is not None
    assert record.evidence.how is How.ACKED
    assert record.evidence.agent_notified_at is not None
    assert record.evidence.words_lost_ms == 0
    assert [(t.role, t.heard) for t in record.turns] == [("agent", "How can I help?"), ("agent", "Goodbye!")]
    assert isinstance(stage.line.told[-1], Ended)
    assert stage.line.closed == 1000
    assert stage.desk.live_sessions == 0
    assert stage.world.events()[-1] == "agent.session.ended"
    assert record.summary
    await stage.close()


@in_virtual_time
async def test_the_caller_interrupts_and_is_told_of_with_what_was_heard() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.line.say(Caption("one two three four five six seven eight nine ten"))
    stage.speak(3000)
    await stage.pass_s(1.0)
    caller.speaks = 0x55
    await stage.pass_s(0.9)
    heard = [at for at, octet in caller.heard_at if octet == 0x11]
    assert stage.now() - heard[-1] > 0.5
    interrupted = [told for told in stage.line.told if type(told).__name__ == "Interrupted"]
    assert len(interrupted) == 1
    assert 1000 <= interrupted[0].heard_ms <= 1300  # type: ignore[union-attr]
    assert interrupted[0].heard_text == "one two three four"  # type: ignore[union-attr]
    record = stage.session()
    assert record.turns[0].interrupted
    assert record.turns[0].heard == "one two three four"
    assert record.figures.interruptions == 1
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_a_cough_holds_the_agent_and_loses_no_word() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.speak(2000)
    await stage.pass_s(0.5)
    caller.speaks = 0x55
    await stage.pass_s(0.2)
    caller.speaks = 0
    assert stage.session().state is State.PAUSED
    await stage.pass_s(3.0)
    record = stage.session()
    assert record.figures.false_alarms == 1
    assert record.figures.interruptions == 0
    assert len(caller.heard_at) == 100
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_what_the_agent_still_sends_after_an_interruption_is_not_played() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.speak(1000)
    await stage.pass_s(0.4)
    caller.speaks = 0x55
    await stage.until(lambda: stage.session().figures.interruptions == 1)
    for _ in range(10):
        stage.line.say(Audio(bytes([0x12]) * 640))
        await stage.pass_s(0.02)
    caller.speaks = 0
    await stage.pass_s(1.0)
    assert 0x12 not in {octet for _, octet in caller.heard_at}
    stage.speak(200, 0x13)
    await stage.pass_s(0.5)
    assert 0x13 in {octet for _, octet in caller.heard_at}
    assert stage.session().figures.stale_ms == 200
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@pytest.mark.parametrize(
    ("agent_s", "asked_s", "longest_s", "lasts_s"),
    [
        (60, 0, 0, 60),
        (60, 0, 900, 60),
        (600, 0, 60, 60),
        (30, 60, 60, 60),
        (30, 60, 0, 60),
        (600, 90, 60, 60),
    ],
)
def test_a_session_is_over_before_its_call_must_be(
    agent_s: int, asked_s: int, longest_s: int, lasts_s: int
) -> None:
    @in_virtual_time
    async def run() -> None:
        stage = Stage(replace(SPEC, max_duration_s=agent_s))
        await stage.talk(replace(CALL, max_duration_s=asked_s, longest_s=longest_s))
        await stage.pass_s(lasts_s - 10.0)
        assert stage.session().state is State.TALKING
        record = await stage.until_over()
        assert record.evidence is not None
        assert record.evidence.reason is Reason.MAX_DURATION
        assert record.evidence.agent_notified_at is not None
        ((hung_up_at, _),) = stage.control.of("hang_up")
        assert lasts_s - 6.0 < hung_up_at - (record.bridged_at or 0.0) <= lasts_s
        await stage.close()

    run()
