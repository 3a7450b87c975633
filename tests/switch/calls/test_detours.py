"""Calls whose route takes more than one answer: digits are typed, time passes, prompts and tones are heard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dialplan.core.call import Connect, Gather, Later, Reject, Trunk
from dialplan.core.routing import RouteFacts
from gateway.trial.audio import has_tone, tone_seconds
from gateway.trial.sip_call import CallState
from telephony.numbers import E164
from tests.rig.voice import (
    CALLEE_HZ,
    CALLER_HZ,
    OURS,
    PROMPT,
    PROMPT_HZ,
    Voice,
    running_voice,
)

pytestmark = pytest.mark.switch

FAR = Trunk(E164("+14155559000"), "carrier")
CLI = E164("+12025550100")
JOINED = RouteFacts(OURS, Connect(FAR, CLI))
ASK_PIN = RouteFacts(OURS, Gather(PROMPT, 6, timeout_s=2))
WRONG = RouteFacts(OURS, Reject(21, "wrong_pin"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Voice]:
    async with running_voice(tmp_path_factory.mktemp("voice")) as voice:
        yield voice


@pytest.fixture
def voice(running: Voice) -> Voice:
    running.book.typed.clear()
    running.book.hangs = None
    return running


async def test_the_right_digits_join_the_caller(voice: Voice) -> None:
    voice.book.first = ASK_PIN
    voice.book.then = lambda typed: JOINED if typed == "4711" else WRONG
    caller = voice.dial(audio=b"")
    await caller.hears(lambda pcm: has_tone(pcm, PROMPT_HZ), 5.0, "the prompt")
    caller.stream.press("4711#")
    callee = await voice.carrier.receives(which=lambda call: call.state is not CallState.ENDED)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 5.0, "the far end")
    await callee.hang_up()
    call = await voice.ended()
    assert voice.book.typed == ["4711"]
    assert str(call.termination) == "success/hangup_by_callee"
    assert voice.types(call) == ["call.initiated", "call.ringing", "call.answered", "call.completed"]
