"""What the parties hear on the real switch before they are joined, and before their time is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dialplan.core.call import Connect, Trunk
from dialplan.core.routing import RouteFacts
from gateway.prompts import WARNING_HZ
from gateway.trial.audio import RATE, has_tone, silence, tone_seconds, tone_share
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState, SimulatedCall
from telephony.numbers import E164
from tests.rig.voice import (
    CALLEE_HZ,
    CALLEE_PROMPT,
    CALLEE_PROMPT_HZ,
    CALLER_HZ,
    LONG_CALLEE_PROMPT,
    LONG_PROMPT,
    OURS,
    PROMPT,
    PROMPT_HZ,
    TALKS,
    Voice,
    running_voice,
)

pytestmark = pytest.mark.switch

FAR = Connect(Trunk(E164("+14155559000"), "carrier"), E164("+12025550100"))
QUIET = answers(audio=silence(0.1))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Voice]:
    async with running_voice(tmp_path_factory.mktemp("prompts")) as voice:
        yield voice


@pytest.fixture
def voice(running: Voice) -> Voice:
    running.carrier.incoming.clear()
    running.far_end = TALKS
    return running


def heard(call: SimulatedCall, hz: float) -> float:
    return tone_seconds(call.stream.heard(), hz)


async def test_the_caller_is_told_in_early_media_before_anybody_is_rung(voice: Voice) -> None:
    voice.book.first = RouteFacts(OURS, replace(FAR, caller_prompt=PROMPT))
    caller = voice.dial()
    callee = await voice.carrier.receives(within_s=20.0)
    assert (caller.state, 183 in caller.responses) == (CallState.RINGING, True)
    await caller.hears(lambda pcm: has_tone(pcm, PROMPT_HZ, seconds=0.4), 20.0, "the prompt")
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the far end")
    await callee.hears(lambda pcm: has_tone(pcm, CALLER_HZ), 20.0, "the caller")
    assert heard(callee, PROMPT_HZ) == 0.0
    await caller.hang_up()
    call = await voice.ended()
    assert str(call.termination) == "success/hangup_by_caller"
    assert voice.types(call) == ["call.initiated", "call.ringing", "call.answered", "call.completed"]


async def test_a_caller_who_gives_up_while_it_is_told_has_cancelled(voice: Voice) -> None:
    voice.book.first = RouteFacts(OURS, replace(FAR, caller_prompt=LONG_PROMPT))
    caller = voice.dial()
    await caller.hears(lambda pcm: has_tone(pcm, PROMPT_HZ), 20.0, "the prompt")
    await caller.cancel()
    call = await voice.ended()
    assert str(call.termination) == "cancelled/cancelled_by_caller"
    assert voice.carrier.incoming == []


async def test_the_far_end_is_told_before_it_is_joined(voice: Voice) -> None:
    voice.book.first = RouteFacts(OURS, replace(FAR, callee_prompt=CALLEE_PROMPT))
    caller = voice.dial()
    callee = await voice.carrier.receives(within_s=20.0)
    await callee.hears(lambda pcm: has_tone(pcm, CALLEE_PROMPT_HZ), 20.0, "its prompt")
    await callee.hears(lambda pcm: has_tone(pcm, CALLER_HZ), 20.0, "the caller")
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the far end")
    assert heard(caller, CALLEE_PROMPT_HZ) == 0.0
    await callee.hang_up()
    assert str((await voice.ended()).termination) == "success/hangup_by_callee"


async def test_a_far_end_that_hangs_up_while_it_is_told_has_ended_the_call(voice: Voice) -> None:
    voice.book.first = RouteFacts(OURS, replace(FAR, callee_prompt=LONG_CALLEE_PROMPT))
    caller = voice.dial()
    callee = await voice.carrier.receives(within_s=20.0)
    await callee.hears(lambda pcm: has_tone(pcm, CALLEE_PROMPT_HZ), 20.0, "its prompt")
    assert caller.state is CallState.RINGING, "the caller is not answered before the two are joined"
    assert heard(callee, CALLER_HZ) == 0.0
    await callee.hang_up()
    await caller.reaches(CallState.ENDED)
    call = await voice.ended()
    assert (call.status, str(call.termination)) == ("completed", "success/hangup_by_callee")


async def test_prompts_recording_and_warning_go_together(voice: Voice) -> None:
    route = replace(FAR, caller_prompt=PROMPT, callee_prompt=CALLEE_PROMPT, warn_s=60)
    voice.book.first = RouteFacts(OURS, route, record=True, max_duration_s=600)
    caller = voice.dial()
    callee = await voice.carrier.receives(within_s=20.0)
    await callee.hears(lambda pcm: has_tone(pcm, CALLER_HZ), 20.0, "the caller")
    await caller.hears(lambda pcm: has_tone(pcm, PROMPT_HZ, seconds=0.4), 20.0, "its prompt")
    assert heard(callee, CALLEE_PROMPT_HZ) >= 0.4
    await caller.hang_up()
    call = await voice.ended()
    assert [tape.state for tape in call.tapes] == ["filed"]
    assert "recording.started" in voice.types(call)


async def test_a_prompt_that_is_not_there_costs_nobody_the_call(voice: Voice) -> None:
    gone = replace(FAR, caller_prompt="tests/gone", callee_prompt="tests/gone")
    voice.book.first = RouteFacts(OURS, gone)
    caller = voice.dial()
    callee = await voice.carrier.receives(within_s=20.0)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the far end")
    await callee.hang_up()
    assert str((await voice.ended()).termination) == "success/hangup_by_callee"


async def test_both_are_warned_before_their_time_is_over(voice: Voice) -> None:
    voice.far_end = QUIET
    voice.book.first = RouteFacts(OURS, replace(FAR, warn_s=3), max_duration_s=6)
    caller = voice.dial(audio=b"")
    callee = await voice.carrier.receives(within_s=20.0)
    await caller.reaches(CallState.ENDED, within_s=20.0)
    await callee.reaches(CallState.ENDED)
    call = await voice.ended()
    assert str(call.termination) == "success/max_duration"
    for party in (caller, callee):
        pcm = party.stream.heard()
        assert 0.2 <= tone_seconds(pcm, WARNING_HZ) <= 0.7
        warned_s = first_heard(pcm, WARNING_HZ)
        assert 2.0 <= len(pcm) / 2 / RATE - warned_s <= 4.0, warned_s


def first_heard(pcm: bytes, hz: float) -> float:
    """When the tone is heard first, in seconds of what was heard; the length of it all where it is not."""
    step = 2 * (RATE // 10)
    for at in range(0, len(pcm) - step, step):
        if tone_share(pcm[at : at + step], hz) > 0.5:
            return at / 2 / RATE
    return len(pcm) / 2 / RATE
