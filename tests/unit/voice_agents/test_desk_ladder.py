"""What becomes of the caller when the agent cannot be had: rung by rung, in ringing and in talk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from telephony.errors import AgentUnavailable, Conflict, TooMany
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Stage, other_call
from voice_agents.core.agent import AgentSpec, Fallback
from voice_agents.core.record import ANNOUNCEMENT, NUMBER, How, State
from voice_agents.core.talk import Answered, Begin, CallTool, Caption, Reason
from voice_agents.desk import AgentDesk
from voice_agents.fakes_desk import FakeBook
from voice_agents.fakes_lines import FakeLines
from voice_agents.ports import AgentEar, AgentLine

pytestmark = pytest.mark.unit

STANDBY = replace(SPEC, id="agt_2")


class OneAway(FakeLines):
    """Everybody can be reached but the first agent."""

    async def open(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> AgentLine:
        if spec.id == SPEC.id:
            raise AgentUnavailable(why="forbidden")
        return await super().open(spec, begin, ear)


@in_virtual_time
async def test_an_agent_that_cannot_be_reached_is_tried_again_while_it_rings() -> None:
    stage = Stage(SPEC)
    stage.fake_lines.away = "refused"
    prepared = await stage.prepare()
    caller = stage.come(prepared)
    await stage.pass_s(1.0)
    assert not caller.leg.answered
    stage.fake_lines.away = ""
    await stage.pass_s(0.5)
    assert caller.leg.answered
    assert stage.session().state is State.TALKING
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_it_is_given_up_after_two_and_a_half_seconds() -> None:
    stage = Stage(SPEC)
    stage.fake_lines.away = "refused"
    began = stage.now()
    await stage.prepare()
    record = await stage.until_over()
    assert record.state is State.FAILED
    assert record.ended_at is not None
    assert 2.2 <= record.ended_at - began <= 2.6
    assert record.evidence is not None
    assert (record.evidence.reason, record.evidence.how) == (Reason.AGENT_LOST, How.AGENT_LOST)
    assert record.evidence.agent_notified_at is None
    assert stage.control.of("hang_up")
    assert stage.world.events()[-1] == "agent.session.failed"
    assert record.summary
    await stage.close()


@in_virtual_time
async def test_who_waits_for_readiness_hears_that_it_failed() -> None:
    stage = Stage(SPEC)
    stage.fake_lines.away = "forbidden"
    with pytest.raises(AgentUnavailable):
        await stage.desk.prepare(CALL, ready_within_s=3.0)
    assert stage.desk.live_sessions == 0
    assert stage.desk.tally.refused["unreachable"] == 1
    await stage.close()


@in_virtual_time
async def test_the_agent_that_stands_in_answers_while_it_rings() -> None:
    stage = Stage(replace(SPEC, fallback=Fallback("agt_2")), STANDBY, lines=OneAway())
    prepared = await stage.prepare()
    caller = stage.come(prepared)
    await stage.pass_s(0.5)
    assert caller.leg.answered
    assert stage.session().answered_by == "agt_2"
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_the_prompt_then_the_number_then_goodbye(tmp_path: Path) -> None:
    spec = replace(SPEC, fallback=Fallback("", "Nobody is here.", "+12025550199"))
    stage = Stage(spec, folder=tmp_path)
    stage.fake_lines.away = "forbidden"
    prepared = await stage.prepare()
    caller = stage.come(prepared)
    await stage.pass_s(0.2)
    assert caller.leg.answered
    stage.control.outcome = "busy"
    await stage.until(lambda: bool(stage.control.of("transfer")))
    assert stage.voice is not None
    assert stage.voice.spoken == ["Nobody is here."]
    ((rang_at, to),) = stage.control.of("transfer")
    assert to == "+12025550199"
    assert rang_at > caller.heard_at[-1][0] - 0.021, "the prompt is heard before it rings elsewhere"
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.reason is Reason.AGENT_LOST
    assert [turn.role for turn in record.turns] == ["gateway"]
    await stage.close()


@in_virtual_time
async def test_a_number_that_answers_takes_the_call() -> None:
    stage = Stage(replace(SPEC, fallback=Fallback("", "", "+12025550199")))
    stage.fake_lines.away = "forbidden"
    prepared = await stage.prepare()
    caller = stage.come(prepared)
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.reason is Reason.TRANSFERRED
    assert stage.control.of("hang_up") == []
    await stage.close()


@in_virtual_time
async def test_an_agent_lost_in_talk_comes_back_and_knows_that_it_was_away() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    stage.line.say(Caption("Hello"))
    stage.speak(1000)
    await stage.pass_s(0.2)
    stage.fake_lines.away = "refused"
    stage.line.lose()
    await stage.pass_s(2.0)
    assert [octet for _, octet in caller.heard_at].count(0x11) == 50, "what it had said is heard"
    assert len(caller.heard_at) > 55, "then a tone, not dead air"
    stage.fake_lines.away = ""
    await stage.pass_s(3.0)
    line = stage.line
    assert line.begin.resumed_turns == 1
    assert any(isinstance(told, Answered) for told in line.told)
    stage.speak(200, 0x15)
    await stage.pass_s(0.5)
    assert caller.heard_at[-1][1] == 0x15
    assert stage.session().figures.reconnects == 1
    assert {"agent.lost", "agent.recovered"} <= set(stage.world.events())
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_an_agent_that_stays_away_is_waited_for_half_a_minute() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    stage.fake_lines.away = "refused"
    lost_at = stage.now()
    stage.line.lose()
    record = await stage.until_over()
    assert record.evidence is not None
    assert record.evidence.reason is Reason.AGENT_LOST
    assert record.state is State.ENDED
    assert 20 <= record.evidence.asked_at - lost_at <= 30.1
    await stage.close()


@in_virtual_time
async def test_an_agent_that_does_not_answer_a_caller_is_replaced(tmp_path: Path) -> None:
    spec = replace(SPEC, filler="One moment.", fallback=Fallback("agt_2"))
    stage = Stage(spec, STANDBY, folder=tmp_path)
    caller = await stage.talk()
    caller.speaks = 0x55
    await stage.pass_s(1.0)
    caller.speaks = 0
    over_at = stage.now()
    await stage.until(lambda: "agent.slow" in stage.world.events())
    assert 2.9 <= stage.now() - over_at <= 3.5
    await stage.until(lambda: stage.session().answered_by == "agt_2")
    assert 7.9 <= stage.now() - over_at <= 8.6
    assert stage.fake_lines.lines[0].closed == 4408
    assert stage.voice is not None
    assert stage.voice.spoken == ["One moment."]
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_an_agent_that_works_on_an_answer_is_not_replaced() -> None:
    stage = Stage(replace(SPEC, fallback=Fallback("agt_2"), tools_allow=("look_up",)), STANDBY)
    caller = await stage.talk()
    stage.tools.takes_s = 9.0
    caller.speaks = 0x55
    await stage.pass_s(1.0)
    caller.speaks = 0
    await stage.pass_s(1.0)
    stage.line.say(CallTool("1", "look_up"))
    await stage.pass_s(15.0)
    assert stage.session().answered_by == "agt_1"
    assert stage.session().figures.slow_turns == 1
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_without_anybody_to_stand_in_a_slow_agent_is_kept() -> None:
    stage = Stage(SPEC)
    caller = await stage.talk()
    caller.speaks = 0x55
    await stage.pass_s(1.0)
    caller.speaks = 0
    await stage.pass_s(20.0)
    assert stage.session().state is State.TALKING
    assert stage.session().figures.slow_turns == 1
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


# ---------------------------------------------------------------- the agent is full, or takes no calls

ONE = replace(SPEC, max_concurrent=1)
SECOND = other_call(2)


@in_virtual_time
async def test_where_an_agent_is_full_the_one_that_stands_in_answers() -> None:
    stage = Stage(replace(ONE, fallback=Fallback("agt_2")), replace(STANDBY, max_concurrent=1))
    await stage.talk()
    await stage.talk(SECOND)
    record = stage.session("call_2")
    assert (record.state, record.agent_id, record.answered_by) == (State.TALKING, "agt_1", "agt_2")
    assert (record.failure, record.led_by) == ("agent_busy", "agt_2")
    assert stage.session("call_1").answered_by == "agt_1", "the first is not disturbed"
    with pytest.raises(TooMany):
        await stage.prepare(other_call(3))
    assert stage.desk.live_sessions == 2
    assert stage.desk.tally.refused == {"agent_full": 1}
    assert stage.desk.tally.passed_over == {"agent_busy": 1}
    stage.desk.caller_gone("call_2")
    await stage.until_over("call_2")
    await stage.talk(other_call(4))
    assert stage.session("call_4").answered_by == "agt_2", "its place was given back"
    for call_id in ("call_1", "call_4"):
        stage.desk.caller_gone(call_id)
        await stage.until_over(call_id)
    assert stage.desk.live_sessions == 0
    await stage.close()


@in_virtual_time
async def test_where_a_tenant_is_full_its_callers_hear_the_prompt_and_no_agent_at_all(tmp_path: Path) -> None:
    spec = replace(SPEC, fallback=Fallback("agt_2", "All our agents are busy."))
    stage = Stage(spec, STANDBY, folder=tmp_path, most=1)
    first = await stage.talk()
    caller = await stage.talk(SECOND)
    await stage.until(lambda: bool(stage.control.of("hang_up", "call_2")))
    assert stage.voice is not None
    assert stage.voice.spoken == ["All our agents are busy."]
    assert caller.heard_at
    assert stage.control.of("hang_up", "call_2")[0][1] == "agent_busy"
    record = await stage.until_over("call_2")
    assert (record.answered_by, record.failure, record.state) == (ANNOUNCEMENT, "agent_busy", State.FAILED)
    assert record.led_by == "agt_1"
    assert record.evidence is not None
    assert record.evidence.words_lost_ms == 0
    assert len(stage.fake_lines.lines) == 1, "nobody else was dialled"
    assert not first.leg.gone
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_where_an_agent_is_full_and_nothing_else_is_there_the_number_rings() -> None:
    stage = Stage(replace(ONE, fallback=Fallback("", "", "+12025550199")))
    await stage.talk()
    caller = await stage.talk(SECOND)
    stage.control.on_transfer = lambda call_id: caller.leg.ends("hangup")
    record = await stage.until_over("call_2")
    assert [to for _, to in stage.control.of("transfer", "call_2")] == ["+12025550199"]
    assert (record.answered_by, record.failure, record.state) == (NUMBER, "agent_busy", State.ENDED)
    assert stage.control.of("hang_up", "call_2") == []
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_a_standby_that_cannot_be_reached_either_leaves_the_call_as_busy_as_before() -> None:
    stage = Stage(replace(ONE, fallback=Fallback("agt_2")), STANDBY)
    await stage.talk()
    stage.fake_lines.away = "refused"
    await stage.prepare(SECOND)
    record = await stage.until_over("call_2")
    assert stage.control.of("hang_up", "call_2")[0][1] == "agent_busy"
    assert (record.state, record.failure) == (State.FAILED, "agent_busy")
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_the_last_place_of_a_standby_goes_to_one_of_two_who_come_at_once(tmp_path: Path) -> None:
    full = replace(ONE, fallback=Fallback("agt_2", "Nobody is free."))
    stage = Stage(full, replace(STANDBY, max_concurrent=1), folder=tmp_path)
    await stage.talk()
    second, third = await stage.prepare(SECOND), await stage.prepare(other_call(3))
    stage.come(second, "call_2")
    stage.come(third, "call_3")
    await stage.pass_s(0.5)
    assert stage.session("call_2").answered_by == "agt_2"
    record = await stage.until_over("call_3")
    assert record.answered_by == ANNOUNCEMENT
    for call_id in ("call_1", "call_2"):
        stage.desk.caller_gone(call_id)
        await stage.until_over(call_id)
    await stage.close()


@in_virtual_time
async def test_callers_without_an_agent_are_as_many_as_those_with_one_may_be(tmp_path: Path) -> None:
    stage = Stage(replace(SPEC, fallback=Fallback("", "Busy.", "")), folder=tmp_path, most=1)
    await stage.talk()
    await stage.prepare(SECOND)
    with pytest.raises(TooMany):
        await stage.prepare(other_call(3))
    for call_id in ("call_1", "call_2"):
        stage.desk.caller_gone(call_id)
        await stage.until_over(call_id)
    await stage.close()


@in_virtual_time
async def test_a_call_that_we_place_is_refused_and_never_falls_back() -> None:
    stage = Stage(replace(ONE, fallback=Fallback("agt_2")), STANDBY)
    await stage.talk()
    with pytest.raises(TooMany):
        await stage.prepare(replace(SECOND, direction="outbound"))
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()


@in_virtual_time
async def test_an_archived_agent_takes_no_new_calls_but_its_fallback_does() -> None:
    gone = replace(SPEC, archived=True)
    stage = Stage(replace(gone, fallback=Fallback("agt_2")), STANDBY)
    await stage.talk()
    assert (stage.session().answered_by, stage.session().failure) == ("agt_2", "agent_archived")
    stage.desk.caller_gone("call_1")
    await stage.until_over()
    await stage.close()
    alone = Stage(
        gone, replace(STANDBY, archived=True), replace(gone, id="agt_4", fallback=Fallback("agt_2"))
    )
    for agent_id in ("agt_1", "agt_2", "agt_4"):
        with pytest.raises(AgentUnavailable) as refused:
            await alone.prepare(replace(CALL, agent_id=agent_id))
        assert refused.value.why == "archived"
    assert alone.desk.tally.refused == {"archived": 3}
    await alone.close()


@in_virtual_time
async def test_a_standby_that_is_full_is_passed_over_in_talk_as_well(tmp_path: Path) -> None:
    spec = replace(SPEC, fallback=Fallback("agt_2", "One moment please."))
    stage = Stage(spec, replace(STANDBY, max_concurrent=1), folder=tmp_path)
    await stage.talk(replace(SECOND, agent_id="agt_2"))
    await stage.talk()
    stage.fake_lines.away = "forbidden"
    stage.line.lose()
    record = await stage.until_over()
    assert stage.voice is not None
    assert stage.voice.spoken == ["One moment please."]
    assert record.answered_by == "agt_1", "it was on the call"
    stage.desk.caller_gone("call_2")
    await stage.until_over("call_2")
    await stage.close()


class NewerBook(FakeBook):
    """One agent of it was stored by a newer release."""

    async def agent(self, tenant: str, agent_id: str, version: int | None = None) -> AgentSpec | None:
        if agent_id == "agt_new":
            raise Conflict("it is of a newer release", code="AGENT_TOO_NEW")
        return await super().agent(tenant, agent_id, version)


@in_virtual_time
async def test_an_agent_of_a_newer_release_is_refused_by_name_and_stands_in_for_nobody(
    tmp_path: Path,
) -> None:
    alone = replace(ONE, id="agt_4", fallback=Fallback("agt_new"))
    stage = Stage(folder=tmp_path)
    around = replace(
        stage.around, book=NewerBook(replace(SPEC, fallback=Fallback("agt_new", "Sorry.")), alone)
    )
    stage.desk = AgentDesk(around)
    with pytest.raises(Conflict) as refused:
        await stage.prepare(replace(CALL, agent_id="agt_new"))
    assert refused.value.code == "AGENT_TOO_NEW"
    assert stage.desk.tally.refused == {"too_new": 1}
    stage.fake_lines.away = "forbidden"
    await stage.talk()
    record = await stage.until_over()
    assert record.answered_by == ANNOUNCEMENT
    stage.fake_lines.away = ""
    await stage.talk(replace(SECOND, agent_id="agt_4"))
    with pytest.raises(TooMany):
        await stage.prepare(replace(other_call(3), agent_id="agt_4"))
    assert stage.desk.tally.broken == 0
    stage.desk.caller_gone("call_2")
    await stage.until_over("call_2")
    await stage.close()
