"""Callers taken from an agent to a person and back, on the real switch: the call goes on meanwhile, and
whatever comes of it the caller is with somebody, or is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dialplan.core.call import Call
from gateway.trial.audio import has_tone
from gateway.trial.sip_behaviour import answers, rejects, rings
from gateway.trial.sip_call import CallState
from telephony.errors import Conflict
from tests.rig.agent_calls import NOWHERE, PERSON, AgentCalls, running_agent_calls
from tests.rig.media import RecordingEar
from tests.rig.voice import CALLEE_HZ, TALKS

pytestmark = [pytest.mark.switch, pytest.mark.timeout(300)]

RINGBACK_HZ = 440.0


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["websocket"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[AgentCalls]:
    async with running_agent_calls(tmp_path_factory.mktemp("moved"), request.param) as calls:
        yield calls


@pytest.fixture
def calls(running: AgentCalls) -> AgentCalls:
    running.voice.book.typed.clear()
    running.voice.carrier.incoming.clear()
    running.voice.far_end = TALKS
    return running


def ended(call: Call) -> str:
    return f"{call.status} {call.termination} by {call.ended_by}"


def cdr_of(calls: AgentCalls, call: Call) -> list[tuple[str, str]]:
    return [(party.who, party.why) for party in calls.voice.store.cdrs[call.id].former]


async def test_to_a_person_and_back(calls: AgentCalls) -> None:
    first, second = RecordingEar(), RecordingEar()
    director = calls.voice.engine.director
    caller, call_id = await calls.talks(first)
    assert await director.reroute(call_id, PERSON, 8) == "completed"
    await first.until(lambda ear: bool(ear.why), "the agent's end")
    person = await calls.voice.carrier.receives(within_s=10.0)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the person")
    assert await director.reroute(call_id, calls.route(second), 8, why="hand_back") == "completed"
    await second.talks()
    await person.reaches(CallState.ENDED)
    assert caller.state is CallState.ANSWERED
    await caller.hang_up()
    call = await calls.voice.ended()
    assert ended(call) == "completed success/hangup_by_caller by caller"
    assert calls.voice.types(call) == [
        "call.initiated",
        "call.answered",
        "call.transfer_completed",
        "call.transfer_completed",
        "call.completed",
    ]
    assert cdr_of(calls, call) == [("agent:agt_1", "transferred"), ("+14155559000", "hand_back")]
    await second.until(lambda ear: bool(ear.why), "the end of the agent's channel")


async def test_the_person_who_took_over_may_end_the_call(calls: AgentCalls) -> None:
    caller, call_id = await calls.talks(RecordingEar())
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 8) == "completed"
    person = await calls.voice.carrier.receives(within_s=10.0)
    await person.hang_up()
    await caller.reaches(CallState.ENDED)
    assert ended(await calls.voice.ended()) == "completed success/hangup_by_callee by callee"


async def test_the_caller_hears_ringback_on_the_way(calls: AgentCalls) -> None:
    caller, call_id = await calls.talks(RecordingEar())
    calls.voice.far_end = answers(after_ms=1500)
    before = len(caller.stream.heard())
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 8) == "completed"
    assert has_tone(caller.stream.heard()[before:], RINGBACK_HZ)
    await caller.hang_up()
    await calls.voice.ended()


@pytest.mark.parametrize(
    ("final", "outcome"), [(486, "busy"), (603, "declined"), (480, "no_answer"), (404, "invalid")]
)
async def test_a_transfer_that_fails_brings_the_caller_back(
    calls: AgentCalls, final: int, outcome: str
) -> None:
    back = RecordingEar()
    calls.voice.book.then = lambda typed: calls.facts(calls.route(back))
    calls.voice.far_end = rejects(final, ring_after_ms=20)
    caller, call_id = await calls.talks(RecordingEar())
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 8) == outcome
    await back.talks()
    assert caller.state is CallState.ANSWERED
    await caller.hang_up()
    call = await calls.voice.ended()
    assert ended(call) == "completed success/hangup_by_caller by caller"
    assert cdr_of(calls, call) == [("agent:agt_1", "transferred"), ("+14155559000", outcome)]
    assert "call.transfer_failed" in calls.voice.types(call)


async def test_a_person_who_lets_it_ring(calls: AgentCalls) -> None:
    back = RecordingEar()
    calls.voice.book.then = lambda typed: calls.facts(calls.route(back))
    calls.voice.far_end = rings()
    caller, call_id = await calls.talks(RecordingEar())
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 2) == "no_answer"
    await back.talks()
    person = await calls.voice.carrier.receives(within_s=10.0)
    await person.reaches(CallState.ENDED)
    await caller.hang_up()
    assert cdr_of(calls, await calls.voice.ended())[-1] == ("+14155559000", "no_answer")


async def test_a_phone_that_is_not_there(calls: AgentCalls) -> None:
    back = RecordingEar()
    calls.voice.book.then = lambda typed: calls.facts(calls.route(back))
    caller, call_id = await calls.talks(RecordingEar())
    assert await calls.voice.engine.director.reroute(call_id, NOWHERE, 8) == "invalid"
    await back.talks()
    await caller.hang_up()
    assert cdr_of(calls, await calls.voice.ended())[-1] == ("phone:nobody", "invalid")


async def test_a_caller_who_leaves_while_it_rings(calls: AgentCalls) -> None:
    calls.voice.far_end = rings()
    caller, call_id = await calls.talks(RecordingEar())
    moving = asyncio.create_task(calls.voice.engine.director.reroute(call_id, PERSON, 8))
    person = await calls.voice.carrier.receives(within_s=20.0)
    await person.reaches(CallState.RINGING)
    with pytest.raises(Conflict):
        await calls.voice.engine.director.reroute(call_id, PERSON, 8)
    await caller.hang_up()
    assert await moving == "ended"
    await person.reaches(CallState.ENDED)
    assert ended(await calls.voice.ended()) == "completed success/hangup_by_caller by caller"


async def test_a_placed_call_is_moved_like_any_other(calls: AgentCalls) -> None:
    ear, back = RecordingEar(), RecordingEar()
    calls.voice.book.then = lambda typed: calls.facts(calls.route(back))
    person, call_id = await calls.places(ear)
    calls.voice.far_end = rejects(486)
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 8) == "busy"
    await back.talks()
    await calls.joined(call_id)
    calls.voice.far_end = TALKS
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 8) == "completed"
    await person.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the other person")
    await person.hang_up()
    call = await calls.voice.ended()
    assert ended(call) == "completed success/hangup_by_caller by caller"
    assert [who for who, _ in cdr_of(calls, call)] == ["agent:agt_1", "+14155559000", "agent:agt_1"]
    assert call.terms.max_duration_s == 3600, "a call that goes on keeps its terms"


async def test_one_recording_goes_on_through_the_move(calls: AgentCalls) -> None:
    ear = RecordingEar()
    calls.voice.book.first = replace(calls.facts(calls.route(ear)), record=True)
    caller = calls.voice.dial()
    call_id = await calls.voice.call_id()
    await ear.talks()
    await calls.joined(call_id)
    assert await calls.voice.engine.director.reroute(call_id, PERSON, 8) == "completed"
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ, seconds=1.5), 20.0, "the person")
    await caller.hang_up()
    call = await calls.voice.ended()
    (tape,) = call.tapes
    assert tape.started_at is not None
    raw = (calls.voice.switch.spec.recordings / f"{tape.id}.raw").read_bytes()
    sides = [b"".join(raw[at : at + 2] for at in range(side, len(raw) - 3, 4)) for side in (0, 2)]
    assert [has_tone(side, CALLEE_HZ) for side in sides].count(True) == 1


# ---------------------------------------------------------------- a gateway that dies on the way


async def test_a_gateway_that_dies_while_the_person_rings_finds_them_talking(calls: AgentCalls) -> None:
    calls.voice.far_end = rings()
    caller, call_id = await calls.talks(RecordingEar())
    moving = asyncio.create_task(calls.voice.engine.director.reroute(call_id, PERSON, 20))
    person = await calls.voice.carrier.receives(within_s=20.0)
    await person.reaches(CallState.RINGING)
    moving.cancel()
    await calls.voice.die()
    await person.answer()
    await calls.voice.rise()
    await calls.voice.store.until(
        call_id, lambda call: call.move is not None and call.move.outcome == "completed", "the move", 20.0
    )
    assert caller.state is CallState.ANSWERED
    await person.hang_up()
    await caller.reaches(CallState.ENDED)
    assert ended(await calls.voice.ended()) == "completed success/hangup_by_callee by callee"


async def test_a_gateway_that_is_dead_when_the_person_refuses(calls: AgentCalls) -> None:
    calls.voice.far_end = rings()
    caller, call_id = await calls.talks(RecordingEar())
    moving = asyncio.create_task(calls.voice.engine.director.reroute(call_id, PERSON, 20))
    person = await calls.voice.carrier.receives(within_s=20.0)
    await person.reaches(CallState.RINGING)
    moving.cancel()
    await calls.voice.die()
    person.reject(486)
    await caller.reaches(CallState.ENDED, within_s=15.0)
    await calls.voice.rise()
    call = await calls.voice.ended()
    assert (str(call.status), len(call.former), call.move and call.move.outcome) == ("completed", 1, "ended")
