"""Agents as the far ends of calls on the real switch: answered when the agent is, ended when either is, and a
caller who is never left alone with an agent that does not come. Both drivers of the media port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dialplan.core.call import AgentSocket, Call, Connect, Ender, Rank, Reject
from gateway.runtime.ports import free_ports
from gateway.trial.audio import has_tone, tone, ulaw_encode
from gateway.trial.rtp import digits_in
from gateway.trial.sip_call import CallState
from telephony.errors import Conflict, InvalidInput
from tests.rig.agent_calls import CLI, PERSON, AgentCalls, running_agent_calls
from tests.rig.media import RecordingEar
from tests.rig.voice import CALLEE_HZ, TALKS

pytestmark = [pytest.mark.switch, pytest.mark.timeout(300)]

AGENT_HZ = 600.0
DTMF = 101
ALL = ["call.initiated", "call.answered", "call.completed"]
UNAVAILABLE = Reject(34, "agent_unavailable")


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["websocket", "audiosocket"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AgentCalls]:
    async with running_agent_calls(tmp_path_factory.mktemp("agents"), request.param) as calls:
        yield calls


@pytest.fixture
def calls(running: AgentCalls) -> AgentCalls:
    running.voice.book.typed.clear()
    running.voice.carrier.incoming.clear()
    running.voice.far_end = TALKS
    return running


def speaks(ear: RecordingEar) -> None:
    """A second of tone from the agent."""
    assert ear.leg is not None
    for frame in ulaw_frames(tone(AGENT_HZ, 1.0)):
        ear.leg.play(frame)


def ulaw_frames(pcm: bytes) -> list[bytes]:
    sound = ulaw_encode(pcm)
    return [sound[at : at + 160] for at in range(0, len(sound) - 159, 160)]


def ended(call: Call) -> str:
    return f"{call.status} {call.termination} by {call.ended_by}"


def cdr_of(calls: AgentCalls, call: Call) -> list[tuple[str, str]]:
    return [(party.who, party.why) for party in calls.voice.store.cdrs[call.id].former]


async def test_the_caller_hears_ringing_until_the_agent_answers(calls: AgentCalls) -> None:
    ear = RecordingEar(answers=False)
    calls.voice.book.first = calls.facts(calls.route(ear))
    caller = calls.voice.dial()
    await caller.reaches(CallState.RINGING)
    await ear.until(lambda ear: ear.leg is not None, "the agent's channel")
    assert ear.leg is not None
    if calls.waits:
        assert caller.state is CallState.RINGING, "nobody answered yet"
        ear.leg.answer()
    await caller.reaches(CallState.ANSWERED)
    await ear.talks()
    speaks(ear)
    await caller.hears(lambda pcm: has_tone(pcm, AGENT_HZ, seconds=0.5), 20.0, "the agent")
    await caller.hang_up()
    await ear.until(lambda ear: bool(ear.why), "the end")
    call = await calls.voice.ended()
    assert ended(call) == "completed success/hangup_by_caller by caller"
    assert calls.voice.types(call) == ALL
    assert (call.terms.agent_id, call.terms.agent_version) == ("agt_1", 2)
    assert calls.voice.store.cdrs[call.id].callee == "agent:agt_1"


async def test_the_agents_socket_is_told_to_nobody(calls: AgentCalls) -> None:
    ear = RecordingEar()
    caller, call_id = await calls.talks(ear)
    route = calls.voice.store.get(call_id).route
    assert isinstance(route, Connect)
    assert isinstance(route.endpoint, AgentSocket)
    secret = route.endpoint.dial
    await caller.hang_up()
    call = await calls.voice.ended()
    told = [*calls.voice.store.events[call_id], calls.voice.store.cdrs[call_id], call]
    assert all(secret not in repr(one) for one in told)


async def test_the_api_ends_both(calls: AgentCalls) -> None:
    ear = RecordingEar()
    caller, call_id = await calls.talks(ear)
    await calls.voice.engine.director.hang_up(call_id)
    await caller.reaches(CallState.ENDED)
    await ear.until(lambda ear: bool(ear.why), "the end")
    assert ended(await calls.voice.ended()) == "completed success/hangup_by_api by api"


async def test_an_agent_that_hangs_up_ends_the_call(calls: AgentCalls) -> None:
    ear = RecordingEar()
    caller, _ = await calls.talks(ear)
    assert ear.leg is not None
    ear.leg.hang_up()
    await caller.reaches(CallState.ENDED)
    assert ended(await calls.voice.ended()) == "completed success/hangup_by_agent by callee"


@pytest.mark.parametrize(
    ("why", "truth"),
    [
        ("hangup_by_agent", "completed success/hangup_by_agent by callee"),
        ("silence", "completed success/silence by gateway"),
        ("gateway_stopping", "completed server_error/gateway_stopping by gateway"),
        ("agent_lost", "completed upstream_error/agent_lost by gateway"),
    ],
)
async def test_the_reason_of_an_end_is_told(calls: AgentCalls, why: str, truth: str) -> None:
    caller, call_id = await calls.talks(RecordingEar())
    calls.voice.engine.director.end_calls([call_id], why)
    await caller.reaches(CallState.ENDED)
    assert ended(await calls.voice.ended()) == truth


async def test_a_callers_end_is_known_at_once(calls: AgentCalls) -> None:
    told: list[tuple[float, Call]] = []
    calls.voice.engine.director.on_change(lambda before, call: told.append((time.monotonic(), call)))
    ear = RecordingEar()
    caller, call_id = await calls.talks(ear)
    began = time.monotonic()
    await caller.hang_up()
    await calls.voice.ended()
    own = [(at, call) for at, call in told if call.id == call_id]
    assert any(call.callee.rank is Rank.UP for _, call in own)
    first = next(at for at, call in own if call.ended_by is Ender.CALLER)
    assert first - began < 5.0, "no timer of ours is that quick"
    assert own[-1][1].closed


# ---------------------------------------------------------------- agents that do not come


async def test_a_socket_that_is_refused_leaves_the_caller_to_the_next(calls: AgentCalls) -> None:
    if not calls.waits:
        return  # its channel is up before a word was said
    calls.voice.book.first = calls.facts(calls.stranger())
    calls.voice.book.then = lambda typed: calls.facts(PERSON)
    caller = calls.voice.dial()
    await caller.reaches(CallState.RINGING)
    await calls.voice.carrier.receives(within_s=20.0)
    await caller.reaches(CallState.ANSWERED, within_s=20.0)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the person")
    await caller.hang_up()
    call = await calls.voice.ended()
    assert ended(call) == "completed success/hangup_by_caller by caller"
    assert cdr_of(calls, call) == [("agent:agt_2", "agent_unavailable")]


async def test_a_closed_port_and_nobody_else_ends_as_unavailable(calls: AgentCalls) -> None:
    dial = f"AudioSocket/127.0.0.1:{free_ports(1)[0]}/01234567-89ab-cdef-0123-456789abcdef/c(slin)"
    calls.voice.book.first = calls.facts(Connect(AgentSocket(dial, "agt_3"), CLI))
    calls.voice.book.then = lambda typed: calls.facts(UNAVAILABLE)
    caller = calls.voice.dial()
    await caller.reaches(CallState.ENDED, within_s=20.0)
    call = await calls.voice.ended()
    assert ended(call) == "failed upstream_error/agent_unavailable by gateway"
    assert caller.responses[-1] == 503


async def test_an_agent_that_leaves_before_it_answers(calls: AgentCalls) -> None:
    if not calls.waits:
        return  # its channel is up as soon as it is there
    ear = RecordingEar(answers=False)
    calls.voice.book.first = calls.facts(calls.route(ear))
    calls.voice.book.then = lambda typed: calls.facts(PERSON)
    caller = calls.voice.dial()
    await ear.until(lambda ear: ear.leg is not None, "the agent's channel")
    assert ear.leg is not None
    ear.leg.hang_up()
    await caller.reaches(CallState.ANSWERED, within_s=20.0)
    await caller.hang_up()
    call = await calls.voice.ended()
    assert cdr_of(calls, call) == [("agent:agt_1", "agent_unavailable")]


async def test_a_gateway_that_is_gone_when_the_agent_does_not_come(calls: AgentCalls) -> None:
    calls.voice.book.hangs = None
    ear = RecordingEar()
    caller, call_id = await calls.talks(ear)
    await calls.voice.die()
    assert ear.leg is not None
    ear.leg.hang_up()
    await caller.reaches(CallState.ENDED, within_s=20.0)
    await calls.voice.rise()
    call = await calls.voice.ended()
    assert (call.id, str(call.status)) == (call_id, "completed")


# ---------------------------------------------------------------- calls we place


async def test_a_person_who_was_called_talks_with_the_agent(calls: AgentCalls) -> None:
    ear = RecordingEar()
    person, _ = await calls.places(ear)
    speaks(ear)
    await person.hears(lambda pcm: has_tone(pcm, AGENT_HZ, seconds=0.5), 20.0, "the agent")
    await ear.until(lambda ear: len(ear.frames) > 50, "the person's sound")
    await person.hang_up()
    await ear.until(lambda ear: bool(ear.why), "the end")
    call = await calls.voice.ended()
    assert ended(call) == "completed success/hangup_by_caller by caller"
    assert call.terms.agent_version == 2
    assert calls.voice.types(call)[-2:] == ["call.connected", "call.completed"]


async def test_digits_reach_the_persons_line_and_not_the_agent(calls: AgentCalls) -> None:
    ear = RecordingEar()
    person, call_id = await calls.places(ear)
    director = calls.voice.engine.director
    began = time.monotonic()
    await director.send_digits(call_id, "12w#")
    assert time.monotonic() - began > 0.8, "a pause was asked for"
    await person.stream.until(
        lambda: digits_in(person.stream.packets, DTMF) == "12#", within_s=15.0, what="the digits"
    )
    for wrong in ("", "12a", "1" * 33, "1\r\nAction: Logoff"):
        with pytest.raises(InvalidInput):
            await director.send_digits(call_id, wrong)
    playing = asyncio.create_task(director.send_digits(call_id, "123456789" * 3))
    await person.stream.until(
        lambda: len(digits_in(person.stream.packets, DTMF)) > 4, within_s=15.0, what="more digits"
    )
    with pytest.raises(Conflict):
        await director.send_digits(call_id, "1")
    await person.hang_up()
    with pytest.raises(Conflict):
        await playing
    await calls.voice.ended()
    assert ear.digits == ""
