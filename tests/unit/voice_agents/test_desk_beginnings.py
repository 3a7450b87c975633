"""How an agent comes to a call: who gets one, in which version, and who never comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.errors import AgentUnavailable, Conflict, TooMany
from tests.unit.dialplan.virtual_time import in_virtual_time
from tests.unit.voice_agents.caller_leaves import over
from tests.unit.voice_agents.sessions import SPEC
from tests.unit.voice_agents.stage import CALL, Stage, other_call
from voice_agents.core.agent import Greeting
from voice_agents.core.record import State
from voice_agents.core.talk import Answered, Reason

pytestmark = pytest.mark.unit


@in_virtual_time
async def test_an_agent_takes_as_many_calls_as_it_may() -> None:
    stage = Stage(replace(SPEC, max_concurrent=1), replace(SPEC, id="agt_9"), most=2)
    await stage.talk()
    with pytest.raises(TooMany) as refused:
        await stage.prepare(other_call(2))
    assert refused.value.limit == 1
    await stage.prepare(replace(other_call(3), agent_id="agt_9"))
    with pytest.raises(TooMany) as full:
        await stage.prepare(replace(other_call(4), agent_id="agt_9"))
    assert full.value.limit == 2
    stage.desk.caller_gone("call_1")
    await stage.prepare(other_call(5))
    assert stage.desk.tally.refused == {"agent_full": 1, "tenant_full": 1}
    for call in ("call_3", "call_5"):
        stage.desk.forget(call)
        await stage.until_over(call)
    await stage.close()


@in_virtual_time
async def test_nobody_gets_an_agent_that_is_not_or_one_twice() -> None:
    stage = Stage(SPEC)
    with pytest.raises(AgentUnavailable):
        await stage.prepare(replace(CALL, agent_id="agt_none"))
    with pytest.raises(AgentUnavailable):
        await stage.prepare(replace(CALL, tenant="ten_other"))
    await stage.talk()
    with pytest.raises(Conflict):
        await stage.prepare()
    await over(stage)


@in_virtual_time
async def test_a_switch_that_cannot_be_told_where_to_come_leaves_nothing_behind() -> None:
    stage = Stage(SPEC)

    def refuses(token: str, codec: object) -> str:
        raise ValueError(token)

    stage.port.dial_string = refuses  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="token"):
        await stage.prepare()
    assert stage.desk.session_of("call_1") is None
    assert stage.desk.live_sessions == 0
    await stage.close()


@in_virtual_time
async def test_a_call_keeps_the_version_it_began_with() -> None:
    stage = Stage(SPEC)
    await stage.talk()
    stage.book.add(replace(SPEC, version=4))
    stage.line.lose()
    await stage.pass_s(1.0)
    assert stage.line.begin.agent_version == 3
    await stage.prepare(other_call(2))
    await stage.pass_s(0.1)
    assert stage.line.begin.agent_version == 4
    await stage.prepare(replace(other_call(3), agent_version=3))
    await stage.pass_s(0.1)
    assert stage.line.begin.agent_version == 3
    for call in ("call_2", "call_3"):
        stage.desk.forget(call)
    await over(stage)


@in_virtual_time
async def test_an_outbound_greeting_waits_for_the_callee() -> None:
    stage = Stage(replace(SPEC, greeting=Greeting("Hello", when="after_callee")))
    caller = await stage.talk(replace(CALL, direction="outbound"))
    assert stage.line.begin.greeting == "Hello"
    stage.speak(200)
    await stage.pass_s(1.0)
    assert stage.told(Answered) == []
    assert caller.heard_at == []
    caller.speaks = 0x55
    await stage.pass_s(0.6)
    caller.speaks = 0
    await stage.pass_s(1.0)
    assert len(stage.told(Answered)) == 1
    assert len(caller.heard_at) == 10
    await over(stage)


@in_virtual_time
async def test_a_leg_that_never_comes_ends_the_session() -> None:
    stage = Stage(SPEC)
    prepared = await stage.prepare()
    await stage.pass_s(0.2)
    stage.port.never_comes(prepared.token)
    record = await stage.until_over()
    assert (record.state, record.failure) == (State.FAILED, "never_came")
    assert record.evidence is not None
    assert record.evidence.reason is Reason.MEDIA_LOST
    await stage.close()
