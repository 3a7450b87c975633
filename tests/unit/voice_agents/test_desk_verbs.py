"""What may be asked of a call that an agent is on, and what an agent may ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.errors import AgentUnavailable, Conflict, InvalidInput, TooMany
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.caller_leaves import over
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import Stage, other_call
from voice_agents.core.record import How, State
from voice_agents.core.talk import (
    Answered,
    CallerAudio,
    CallTool,
    Digit,
    DigitsSent,
    Ended,
    HangUp,
    Held,
    Mark,
    MarkReached,
    Reason,
    SendDigits,
    ToolResult,
    Transfer,
    TransferOutcome,
)

pytestmark = pytest.mark.unit

AGENT = replace(SPEC, transfer_allow=("phone:alice", "+1415*"), tools_allow=("look_up",))


# ---------------------------------------------------------------- hold, mute, take-over


@in_virtual_time
async def test_on_hold_the_caller_hears_a_tone_and_the_agent_nothing() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    await stage.desk.hold("call_1", True)
    assert stage.session().state is State.HELD
    frames = len(stage.told(CallerAudio))
    stage.speak(200, 0x66)
    await stage.pass_s(2.0)
    assert len(stage.told(CallerAudio)) == frames
    assert caller.heard_at
    assert 0x66 not in {octet for _, octet in caller.heard_at}
    await stage.desk.hold("call_1", False)
    stage.speak(200, 0x67)
    await stage.pass_s(0.5)
    assert caller.heard_at[-1][1] == 0x67
    assert stage.told(Held) == [Held(True), Held(False)]
    await over(stage)


@in_virtual_time
async def test_a_muted_agent_hears_and_is_not_heard() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.speak(2000)
    await stage.pass_s(0.3)
    await stage.desk.mute("call_1", True)
    heard, frames = len(caller.heard_at), len(stage.told(CallerAudio))
    stage.speak(200)
    stage.line.say(Mark("unheard"))
    await stage.pass_s(1.0)
    assert len(caller.heard_at) == heard
    assert len(stage.told(CallerAudio)) == frames + 50
    assert stage.told(MarkReached) == [MarkReached("unheard", heard=False)]
    await stage.desk.mute("call_1", False)
    stage.speak(200)
    await stage.pass_s(0.5)
    assert len(caller.heard_at) == heard + 10
    await over(stage)


@in_virtual_time
async def test_a_transfer_that_fails_brings_the_caller_back_to_the_same_session() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.control.outcome = "no_answer"
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    stage.line.say(Transfer("phone:alice"))
    await stage.pass_s(0.5)
    assert stage.session().state is State.TRANSFERRING
    await stage.until(lambda: bool(stage.told(TransferOutcome)))
    assert stage.told(TransferOutcome) == [TransferOutcome("phone:alice", "no_answer")]
    stage.speak(200, 0x71)  # said while the caller is on the way back
    again = stage.desk.rejoin("call_1")
    assert again is not None
    caller = stage.come(again)
    await stage.pass_s(0.5)
    assert stage.session().state is State.TALKING
    assert {octet for _, octet in caller.heard_at} == {0x71}
    assert len(stage.fake_lines.lines) == 1
    assert len(stage.told(Answered)) == 2
    assert stage.desk.rejoin("call_1") is None
    await over(stage)


@in_virtual_time
async def test_a_caller_may_be_back_before_the_outcome_is_known() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.control.outcome = "busy"
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    stage.line.say(Transfer("+14155550100"))
    await stage.pass_s(0.5)
    again = stage.desk.rejoin("call_1")
    assert again is not None
    stage.come(again)
    await stage.pass_s(4.0)
    assert stage.session().state is State.TALKING
    assert stage.told(TransferOutcome) == [TransferOutcome("+14155550100", "busy")]
    await over(stage)


@in_virtual_time
async def test_nobody_is_taken_where_it_is_not_allowed() -> None:
    stage = Stage(AGENT)
    await stage.talk()
    stage.line.say(Transfer("+4930123456"), Transfer("phone:bob"), Transfer("sip:evil@example.com"))
    await stage.pass_s(0.1)
    assert [told.outcome for told in stage.told(TransferOutcome)] == [  # type: ignore[union-attr]
        "policy_denied",
        "policy_denied",
        "invalid",
    ]
    assert stage.control.of("transfer") == []
    assert stage.session().state is State.TALKING
    await over(stage)


@in_virtual_time
async def test_whoever_runs_the_call_may_take_its_caller_into_a_room_that_the_agent_may_not() -> None:
    stage, room = Stage(AGENT), "room:11111111-1111-4111-8111-111111111111"
    caller = await stage.talk()
    stage.line.say(Transfer(room))
    await stage.pass_s(0.1)
    assert stage.told(TransferOutcome) == [TransferOutcome(room, "policy_denied")]
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    assert await stage.desk.transfer("call_1", room, 20) == "completed"
    assert [to for _, to in stage.control.of("transfer")] == [room]
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_a_human_takes_over_and_hands_back() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    assert await stage.desk.take_over("call_1", "phone:bob", 20) == "completed"
    assert stage.session().state is State.HELD
    assert stage.told(Held) == [Held(True, "human")]
    await stage.pass_s(60.0)
    assert stage.session().state is State.HELD
    prepared = stage.desk.hand_back("call_1")
    caller = stage.come(prepared)
    await stage.pass_s(0.2)
    assert stage.told(Held) == [Held(True, "human"), Held(False, "human")]
    stage.speak(200, 0x72)
    await stage.pass_s(0.5)
    assert {octet for _, octet in caller.heard_at} == {0x72}
    with pytest.raises(Conflict):
        stage.desk.hand_back("call_1")
    await over(stage)


@in_virtual_time
async def test_the_caller_may_leave_while_a_human_has_it() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    assert await stage.desk.take_over("call_1", "phone:bob", 20) == "completed"
    stage.desk.caller_gone("call_1")
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.how is How.CALLER_GONE
    await stage.close()


@in_virtual_time
async def test_another_agent_takes_the_call_and_the_words_of_the_first_are_heard() -> None:
    other = replace(AGENT, id="agt_3", max_concurrent=1, parameters=(("mood", "calm"), ("step", "1")))
    stage = Stage(AGENT, other)
    caller = await stage.talk()
    stage.speak(400, 0x31)
    first = stage.line
    await stage.desk.hand_over("call_1", "agt_3", parameters=(("step", "2"),))
    assert first.told[-1] == Ended(Reason.REPLACED, first.told[-1].duration_ms)  # type: ignore[union-attr]
    await stage.pass_s(0.6)
    assert first.closed == 1000
    assert dict(stage.line.begin.parameters) == {"mood": "calm", "step": "2"}
    assert stage.line.begin.resumed_turns == 1
    stage.speak(200, 0x32)
    await stage.pass_s(0.4)
    octets = [octet for _, octet in caller.heard_at]
    assert (octets.count(0x31), octets.count(0x32)) == (20, 10)
    record = stage.session()
    assert (record.agent_id, record.answered_by) == ("agt_1", "agt_3")
    with pytest.raises(TooMany):
        await stage.prepare(replace(other_call(2), agent_id="agt_3"))
    with pytest.raises(AgentUnavailable):
        await stage.desk.hand_over("call_1", "agt_none")
    await over(stage)


@in_virtual_time
async def test_verbs_are_refused_where_no_agent_is_or_it_ends() -> None:
    stage = Stage(AGENT)
    with pytest.raises(Conflict):
        await stage.desk.mute("call_1", True)
    await stage.talk()
    ending = stage.loop.create_task(stage.desk.end("call_1"))
    await stage.pass_s(0.1)
    for asked in (stage.desk.hold("call_1", True), stage.desk.transfer("call_1", "phone:alice", 20)):
        with pytest.raises(Conflict):
            await asked
    await ending
    await stage.until_over()
    await stage.close()


# ---------------------------------------------------------------- digits


@in_virtual_time
async def test_digits_both_ways() -> None:
    stage = Stage(AGENT)
    caller = await stage.talk()
    caller.leg.presses("4")
    caller.leg.presses("2")
    stage.speak(3000)
    stage.line.say(SendDigits("12#"), SendDigits("no"))
    await stage.pass_s(0.3)
    heard = len(caller.heard_at)
    await stage.pass_s(0.3)
    assert len(caller.heard_at) == heard, "the agent is silent while digits are played"
    await stage.pass_s(4.0)
    assert [told.digit for told in stage.told(Digit)] == ["4", "2"]  # type: ignore[union-attr]
    assert stage.told(DigitsSent) == [DigitsSent("12#")]
    assert len(caller.heard_at) == 150
    turns = [turn for turn in stage.session().turns if turn.role == "digits"]
    assert [(turn.said, turn.source) for turn in turns] == [("42", "caller"), ("12#", "agent")]
    with pytest.raises(InvalidInput):
        await stage.desk.send_digits("call_1", "1;2")
    await over(stage)


@in_virtual_time
async def test_secure_digits_are_not_written_down() -> None:
    stage = Stage(replace(AGENT, secure_digits=True))
    caller = await stage.talk()
    for digit in "4111":
        caller.leg.presses(digit)
    await stage.pass_s(0.1)
    assert [turn.said for turn in stage.session().turns] == ["••••"]
    assert len(stage.told(Digit)) == 4
    await over(stage)


# ---------------------------------------------------------------- tools


@in_virtual_time
async def test_tools_that_are_listed_are_run_and_no_others() -> None:
    stage = Stage(AGENT)
    await stage.talk()
    stage.line.say(CallTool("1", "look_up", '{"name": "x"}'), CallTool("2", "delete_all"))
    await stage.pass_s(0.5)
    assert stage.told(ToolResult) == [
        ToolResult("2", False, error="not_allowed"),
        ToolResult("1", True, '"look_up"'),
    ]
    assert [tool.name for tool in stage.tools.called] == ["look_up"]
    (turn,) = stage.session().turns
    assert (turn.tools[0].name, turn.tools[0].ok) == ("look_up", True)
    await over(stage)


@in_virtual_time
async def test_a_tool_that_does_not_answer_is_answered_for() -> None:
    stage = Stage(AGENT)
    await stage.talk()
    stage.tools.takes_s = 1000
    stage.line.say(CallTool("1", "look_up"))
    await stage.pass_s(12.0)
    assert stage.told(ToolResult) == [ToolResult("1", False, error="timeout")]
    await over(stage)


@in_virtual_time
async def test_an_agent_that_hangs_up_in_circles_is_stopped() -> None:
    stage = Stage(AGENT)
    await stage.talk()
    stage.speak(5000)
    stage.line.say(HangUp())
    line = stage.line
    line.say(CallTool("t", "look_up"))
    assert line.told[-1] == ToolResult("t", False, error="session_ending")
    line.say(*[HangUp()] * 40)
    await stage.pass_s(0.1)
    assert line.closed == 4429
    assert stage.tools.called == []
    record = await stage.until_over()
    assert len(stage.control.of("hang_up")) == 1
    assert record.evidence is not None
    assert record.evidence.words_lost_ms == 0
    await stage.close()
