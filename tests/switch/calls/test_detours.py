"""Calls whose route takes more than one answer, on the real switch: digits are typed, time passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dialplan.core.call import Call, Connect, Gather, Later, Reject, Trunk
from dialplan.core.routing import RouteFacts
from gateway.trial.audio import active_seconds, has_tone
from gateway.trial.sip_behaviour import rings
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import OutgoingCall
from telephony.numbers import E164
from tests.rig.voice import CALLEE_HZ, OURS, PROMPT, PROMPT_HZ, TALKS, Voice, running_voice

pytestmark = pytest.mark.switch

JOINED = RouteFacts(OURS, Connect(Trunk(E164("+14155559000"), "carrier"), E164("+12025550100")))
WRONG = RouteFacts(OURS, Reject(21, "wrong_pin"))
PATIENT_S = 30
"""Seconds for each digit: no test waits for them but where it says so."""
ALL = ["call.initiated", "call.ringing", "call.answered", "call.completed"]


def ask_pin(timeout_s: int = PATIENT_S) -> RouteFacts:
    return RouteFacts(OURS, Gather(PROMPT, 6, timeout_s))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Voice]:
    async with running_voice(tmp_path_factory.mktemp("voice")) as voice:
        yield voice


@pytest.fixture
def voice(running: Voice) -> Voice:
    running.book.typed.clear()
    running.book.hangs = None
    running.carrier.incoming.clear()
    running.far_end = TALKS
    return running


def let_in(typed: str) -> RouteFacts:
    return JOINED if typed == "4711" else WRONG


async def prompted(voice: Voice, timeout_s: int = PATIENT_S) -> OutgoingCall:
    """A caller who has heard the prompt and may type."""
    voice.book.first = ask_pin(timeout_s)
    caller = voice.dial(audio=b"")
    await caller.hears(lambda pcm: has_tone(pcm, PROMPT_HZ), 20.0, "the prompt")
    return caller


def ended(call: Call) -> str:
    return f"{call.status} {call.termination} by {call.ended_by}"


@pytest.mark.parametrize(
    ("typed", "timeout_s"), [("4711#", PATIENT_S), ("4711", 3)], ids=["with-the-pound-key", "by-timeout"]
)
async def test_the_right_digits_join_the_caller(voice: Voice, typed: str, timeout_s: int) -> None:
    voice.book.then = let_in
    caller = await prompted(voice, timeout_s)
    caller.stream.press(typed)
    callee = await voice.carrier.receives(within_s=20.0)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the far end")
    await callee.hang_up()
    call = await voice.ended()
    assert voice.book.typed == ["4711"]
    assert callee.facts.from_user == "+12025550100"
    assert ended(call) == "completed success/hangup_by_callee by callee"
    assert voice.types(call) == ALL


async def test_wrong_digits_are_refused_and_nobody_is_rung(voice: Voice) -> None:
    voice.book.then = let_in
    caller = await prompted(voice)
    caller.stream.press("0815*#")
    await caller.reaches(CallState.ENDED, within_s=20.0)
    call = await voice.ended()
    assert voice.book.typed == ["0815*"]
    assert ended(call) == "failed client_error/wrong_pin by gateway"
    assert voice.types(call) == ["call.initiated", "call.failed"]
    assert (call.answered_at, voice.carrier.incoming) == (None, [])


async def test_silence_is_told_as_no_digits_and_may_be_asked_again(voice: Voice) -> None:
    answers = iter([ask_pin(1), WRONG])
    voice.book.then = lambda typed: next(answers)
    caller = await prompted(voice, 1)
    await caller.reaches(CallState.ENDED, within_s=20.0)
    call = await voice.ended()
    assert voice.book.typed == ["", ""]
    assert ended(call) == "failed client_error/wrong_pin by gateway"


async def test_whoever_hangs_up_while_typing_has_cancelled(voice: Voice) -> None:
    caller = await prompted(voice)
    caller.stream.press("47")
    await caller.hang_up()
    call = await voice.ended()
    assert ended(call) == "cancelled cancelled/cancelled_by_caller by caller"
    assert voice.types(call) == ["call.initiated", "call.cancelled"]
    assert voice.book.typed == []


async def test_the_caller_hears_ringing_until_the_route_is_known(voice: Voice) -> None:
    answers = iter([RouteFacts(OURS, Later(1)), JOINED])
    voice.book.first = RouteFacts(OURS, Later(1))
    voice.book.then = lambda typed: next(answers)
    caller = voice.dial()
    await caller.reaches(CallState.RINGING)
    assert caller.responses[-1] == 180
    callee = await voice.carrier.receives(within_s=20.0)
    assert caller.state is CallState.RINGING, "nobody was answered for a wait"
    await caller.reaches(CallState.ANSWERED)
    await callee.hang_up()
    call = await voice.ended()
    assert (voice.book.typed, call.detours) == (["", ""], 2)
    assert voice.types(call) == ALL


async def test_digits_after_a_wait_and_a_wait_after_digits(voice: Voice) -> None:
    answers = iter([ask_pin(), RouteFacts(OURS, Later(1)), JOINED])
    voice.book.first = RouteFacts(OURS, Later(1))
    voice.book.then = lambda typed: next(answers)
    caller = voice.dial(audio=b"")
    await caller.hears(lambda pcm: has_tone(pcm, PROMPT_HZ), 20.0, "the prompt")
    caller.stream.press("12#")
    callee = await voice.carrier.receives(within_s=20.0)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the far end")
    await caller.hang_up()
    await callee.reaches(CallState.ENDED)
    assert voice.book.typed == ["", "12", ""]
    assert ended(await voice.ended()) == "completed success/hangup_by_caller by caller"


async def test_whoever_is_refused_after_a_wait_hears_the_cause(voice: Voice) -> None:
    voice.book.first = RouteFacts(OURS, Later(1))
    voice.book.then = lambda typed: RouteFacts(OURS, Reject(17, "line_busy"))
    caller = voice.dial()
    await caller.reaches(CallState.ENDED, within_s=20.0)
    assert caller.responses[-1] == 486
    assert ended(await voice.ended()) == "failed client_error/line_busy by gateway"


async def test_a_failure_that_passes_is_told_as_503(voice: Voice) -> None:
    """The switch has no answer for cause 41 and would make 603 of it."""
    voice.book.first = RouteFacts(OURS, Reject(41, "room_unavailable"))
    caller = voice.dial()
    await caller.reaches(CallState.ENDED, within_s=20.0)
    assert caller.ending is not None
    assert (caller.ending.status, caller.ending.reason) == (503, "Q.850;cause=42")
    assert ended(await voice.ended()) == "failed upstream_error/room_unavailable by gateway"


async def test_a_caller_who_gives_up_during_the_wait_has_cancelled(voice: Voice) -> None:
    voice.book.first = RouteFacts(OURS, Later(5))
    caller = voice.dial()
    await caller.reaches(CallState.RINGING)
    await caller.cancel()
    assert ended(await voice.ended()) == "cancelled cancelled/cancelled_by_caller by caller"


# ---------------------------------------------------------------- when the gateway is not there


async def told_why(caller: OutgoingCall) -> None:
    """The fallback ends the call, after a tone where no announcement was made."""
    before = active_seconds(caller.stream.heard())
    await caller.reaches(CallState.ENDED, within_s=20.0)
    assert active_seconds(caller.stream.heard()) >= before + 1.0


async def test_a_gateway_that_dies_while_digits_are_typed(voice: Voice) -> None:
    caller = await prompted(voice)
    call_id = await voice.call_id()
    caller.stream.press("47")
    await voice.die()
    caller.stream.press("11#")
    await told_why(caller)
    await voice.on_record()
    await voice.rise()
    call = await voice.ended()
    assert call.id == call_id
    assert ended(call) == "failed server_error/question_not_asked by switch"
    assert voice.types(call) == ["call.initiated", "call.failed"]


async def test_a_gateway_that_takes_the_question_and_never_answers(voice: Voice) -> None:
    caller = await prompted(voice)
    await voice.die()
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", voice.agi_port):
        caller.stream.press("4711#")
        await told_why(caller)
    assert asked.is_set()
    await voice.on_record()
    await voice.rise()
    assert ended(await voice.ended()) == "failed server_error/question_not_asked by switch"


async def test_a_caller_who_leaves_while_the_gateway_is_away_has_cancelled(voice: Voice) -> None:
    caller = await prompted(voice)
    await voice.die()
    await caller.hang_up()
    await voice.on_record()
    await voice.rise()
    assert ended(await voice.ended()) == "cancelled cancelled/cancelled_by_caller by caller"


async def test_a_gateway_that_is_back_in_time_goes_on(voice: Voice) -> None:
    voice.book.then = let_in
    caller = await prompted(voice)
    await voice.die()
    await voice.rise()
    caller.stream.press("4711#")
    callee = await voice.carrier.receives(within_s=20.0)
    await caller.hears(lambda pcm: has_tone(pcm, CALLEE_HZ), 20.0, "the far end")
    await callee.hang_up()
    call = await voice.ended()
    assert ended(call) == "completed success/hangup_by_callee by callee"
    assert voice.types(call) == ALL


async def test_a_call_that_rings_after_its_digits_when_the_gateway_dies(voice: Voice) -> None:
    """The switch's record of the caller says answered, for the digits; the far end never was."""
    voice.book.then = let_in
    voice.far_end = rings()
    caller = await prompted(voice)
    caller.stream.press("4711#")
    callee = await voice.carrier.receives(within_s=20.0)
    await callee.reaches(CallState.RINGING)
    await voice.die()
    await caller.hang_up()
    await callee.reaches(CallState.ENDED)
    await voice.on_record()
    await voice.rise()
    call = await voice.ended()
    assert (call.status, call.answered_at) == ("cancelled", None), ended(call)


@pytest.mark.parametrize("digits", [False, True], ids=["plain", "after-digits"])
@pytest.mark.parametrize(
    ("final", "truth"),
    [(302, "failed upstream_error/redirected"), (404, "failed client_error/unallocated_number")],
)
async def test_who_refuses_while_the_gateway_is_dead_is_told_as_he_did(
    voice: Voice, final: int, truth: str, digits: bool
) -> None:
    """Nobody hears it; the switch's records say what the caller was told, and that nobody was joined."""
    voice.book.first, voice.book.then = JOINED, let_in
    voice.far_end = replace(rings(), reply_headers=(("Contact", "<sip:elsewhere@127.0.0.1:9>"),))
    caller = await prompted(voice) if digits else voice.dial(audio=b"")
    if digits:
        caller.stream.press("4711#")
    callee = await voice.carrier.receives(within_s=20.0)
    await callee.reaches(CallState.RINGING)
    await voice.die()
    callee.reject(final)
    await caller.reaches(CallState.ENDED)
    await voice.on_record()
    await voice.rise()
    call = await voice.ended()
    assert (ended(call), call.answered_at) == (f"{truth} by callee", None)


async def test_a_book_that_hangs_costs_the_caller_two_seconds(voice: Voice) -> None:
    voice.book.hangs = asyncio.Event()
    caller = await prompted(voice)
    caller.stream.press("4711#")
    await told_why(caller)
    call = await voice.ended()
    assert ended(call) == "failed server_error/answer_too_late by gateway"
