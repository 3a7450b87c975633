"""Speech by real engines: spoken through a telephone line, detected, understood, answered."""

from __future__ import annotations

import asyncio
import json
import math
import time
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contract.voice_agents.spoken import (
    PAUSE_MS,
    Booth,
    Caller,
    each_said,
    engine,
    noise,
    on_the_line,
    receptionist_spec,
    said,
)
from voice_agents.builtin.receptionist import ReceptionLine
from voice_agents.core import talk
from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.grammar import Grammar
from voice_agents.core.reception_words import NUMBER, YES_NO, menu
from voice_agents.core.sound import from_linear, to_linear
from voice_agents.ports import Heard
from voice_agents.providers.pocketsphinx_stt import PocketsphinxSettings, PocketsphinxSpeech
from voice_agents.providers.webrtc_vad import WebrtcDetectors
from voice_agents.speech.front import Fronts, FrontSettings
from voice_agents.speech.voice import VoiceLimits

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

SLOW_MACHINE_S = 90.0
"""A turn's time waits for the turns before it, too."""
LONGER_THAN_ANY_CALL_S = 3600.0
"""How far ahead of the ear sound may be given: what is played to nobody need not be waited for."""
CALLERS = [Caller(), Caller("en-GB", 140, 40), Caller("en-US", 170, 60)]
MENU = menu(("sales", "support", "billing"))
SHOP = {
    "business_name": "Harbour Books",
    "hours": "We are open from nine to six.",
    "departments": {"sales": "+15550100001", "support": "phone:support"},
}


@pytest_asyncio.fixture(scope="module")
async def ears() -> AsyncIterator[PocketsphinxSpeech]:
    settings = PocketsphinxSettings(workers=2, deadline_s=SLOW_MACHINE_S, start_s=SLOW_MACHINE_S)
    engine = PocketsphinxSpeech(settings)
    await engine.warm()
    yield engine
    await engine.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


async def understood(
    ears: PocketsphinxSpeech, grammar: Grammar, frames: list[bytes], codec: Codec = Codec.ULAW
) -> Heard:
    turn = ears.listen("en-US", codec.rate_hz, grammar, lambda heard: None)
    for frame in frames:
        turn.feed(to_linear(codec, frame))
    return await turn.finish()


# ---------------------------------------------------------------- what is understood

SPOKEN = [
    (MENU, "what are your opening hours"), (MENU, "when are you open"), (MENU, "where are you"),
    (MENU, "how do i find you"), (MENU, "i would like to speak to somebody"), (MENU, "operator"),
    (MENU, "support please"), (MENU, "connect me to billing"), (MENU, "leave a message"),
    (MENU, "i want to leave a message"), (MENU, "say that again please"), (MENU, "goodbye"),
    (YES_NO, "yes"), (YES_NO, "no"), (YES_NO, "yes please"), (YES_NO, "no thank you"),
    (YES_NO, "that is right"), (NUMBER, "one two three"), (NUMBER, "no number"),
]  # fmt: skip


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: f"{caller.voice}-{caller.speed}")
async def test_what_was_said_is_what_was_understood(
    ears: PocketsphinxSpeech, folder: Path, caller: Caller
) -> None:
    texts = [text for _, text in SPOKEN]
    sounds = [on_the_line(pcm, Codec.ULAW, 300, 300) for pcm in await each_said(folder, caller, texts)]
    turns = (understood(ears, grammar, sound) for (grammar, _), sound in zip(SPOKEN, sounds, strict=True))
    assert [heard.text for heard in await asyncio.gather(*turns)] == texts


@pytest.mark.parametrize("codec", [Codec.ALAW, Codec.SLIN, Codec.SLIN16])
async def test_in_every_codec(ears: PocketsphinxSpeech, folder: Path, codec: Codec) -> None:
    rate = codec.rate_hz
    for text in ("when are you open", "leave a message", "connect me to billing"):
        frames = on_the_line(await said(folder, CALLERS[0], text, rate), codec, 300, 300)
        assert (await understood(ears, MENU, frames, codec)).text == text


STRANGE = [
    "my cat has eaten your homework", "pizza with extra cheese and olives",
    "how much does it cost to send a parcel to brazil",
]  # fmt: skip


async def test_what_is_not_in_the_grammar_is_not_taken_for_the_nearest(
    ears: PocketsphinxSpeech, folder: Path
) -> None:
    for text in STRANGE:
        frames = on_the_line(await said(folder, CALLERS[0], text), Codec.ULAW, 300, 300)
        assert await understood(ears, MENU, frames) == Heard("", 0.0), text


async def test_noise_alone_says_nothing(ears: PocketsphinxSpeech) -> None:
    assert await understood(ears, MENU, on_the_line(b"", Codec.ULAW, 1500, 0, 300)) == Heard("", 0.0)


async def test_understanding_holds_up_nobody(ears: PocketsphinxSpeech, folder: Path) -> None:
    """A turn costs the loop's thread a few milliseconds, where decoding it takes hundreds: it is busy for a
    small part of the time that the turns take, however fast the machine."""
    frames = on_the_line(await said(folder, CALLERS[0], SPOKEN[0][1]), Codec.ULAW, 300, 300)
    cpu, began = time.thread_time(), time.monotonic()
    await asyncio.gather(*(understood(ears, MENU, frames) for _ in range(8)))
    assert time.thread_time() - cpu < (time.monotonic() - began) / 4


# ---------------------------------------------------------------- speech or not


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: f"{caller.voice}-{caller.speed}")
async def test_speech_is_detected_within_200_ms(folder: Path, caller: Caller, codec: Codec) -> None:
    """From the first sound of the word to the frame that settles it, at 120 ms of speech wanted."""
    late = []
    texts = ("when are you open", "operator", "yes please", "leave a message", "no thank you")
    sounds = await each_said(folder, caller, texts, codec.rate_hz)
    for text, pcm in zip(texts, sounds, strict=True):
        frames = on_the_line(pcm, codec, PAUSE_MS, PAUSE_MS)
        detector = WebrtcDetectors().detector(codec, 120)
        settled = [
            (at * FRAME_MS + FRAME_MS, voicing)
            for at, frame in enumerate(frames)
            if (voicing := detector.feed(frame)) is not None
        ]
        assert [voicing.speaking for _, voicing in settled] == [True, False], (text, settled)
        late.append(settled[0][0] - PAUSE_MS)
        began, ended = (at - voicing.ago_ms for at, voicing in settled)
        assert abs(began - PAUSE_MS) <= 100, text
        assert abs(ended - (len(frames) * FRAME_MS - PAUSE_MS)) <= 140, text
    assert max(late) <= 200, late


def hum(codec: Codec, ms: int) -> bytes:
    count = codec.rate_hz * ms // 1000
    return array(
        "h", (round(900 * math.sin(math.tau * 50 * n / codec.rate_hz)) for n in range(count))
    ).tobytes()


def clicks(codec: Codec, ms: int) -> bytes:
    one = noise(codec.rate_hz // 100, 6000) + bytes(codec.rate_hz // 1000 * 990 * 2)
    return one * (ms // 1000)


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("level", [0, 30, 120, 400, 1500])
def test_noise_starts_nothing(codec: Codec, level: int) -> None:
    detector = WebrtcDetectors().detector(codec, 120)
    assert [v for frame in on_the_line(b"", codec, 20_000, 0, level) if (v := detector.feed(frame))] == []


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("sound", [hum, clicks])
def test_hum_and_clicks_start_nothing(codec: Codec, sound: object) -> None:
    assert callable(sound)
    detector = WebrtcDetectors().detector(codec, 120)
    frames = on_the_line(sound(codec, 10_000), codec, 500, 500)
    assert [v for frame in frames if (v := detector.feed(frame))] == []


def test_digital_silence_starts_nothing() -> None:
    detector = WebrtcDetectors().detector(Codec.ULAW, 60)
    assert [v for _ in range(3000) if (v := detector.feed(Codec.ULAW.silence))] == []


# ---------------------------------------------------------------- a whole conversation


@pytest_asyncio.fixture
async def booth(ears: PocketsphinxSpeech, folder: Path) -> AsyncIterator[Booth]:
    spec = receptionist_spec(json.dumps({"reception": SHOP}))
    speech = engine(folder, Caller())
    joined = Booth(spec)
    voice = VoiceLimits(speak_s=SLOW_MACHINE_S, ahead_s=LONGER_THAN_ANY_CALL_S)
    settings = FrontSettings(hear_s=SLOW_MACHINE_S, voice=voice)
    joined.front = Fronts(speech, ears, WebrtcDetectors(), settings).front(spec, Codec.ULAW, joined)
    begin = talk.Begin("s", "c", spec.id, 1, "inbound", "", "", Codec.ULAW)
    joined.line = ReceptionLine(spec, begin, joined)
    yield joined
    await joined.front.close()
    await joined.line.close()
    await speech.close()


async def say(booth: Booth, folder: Path, text: str, caller: Caller) -> str:
    """The caller says this; the receptionist's reply."""
    await booth.hear(on_the_line(await said(folder, caller, text), Codec.ULAW, 400, PAUSE_MS))
    return await booth.reply()


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: f"{caller.voice}-{caller.speed}")
async def test_a_conversation_from_hello_to_goodbye(booth: Booth, folder: Path, caller: Caller) -> None:
    script = [
        ("when are you open", "We are open from nine to six. Anything else?"),
        ("leave a message", "What is your message about?"),
        (
            "an appointment",
            "Thank you. On which number can we call you back? Say the digits, or press the keys.",
        ),
        ("one two three", "I have 1, 2, 3. Is that right?"),
        ("yes", "Thank you. I have taken your message. Is there anything else?"),
        ("goodbye", "Thank you for calling. Goodbye."),
    ]
    greeting = await booth.answer()
    replies = [await say(booth, folder, text, caller) for text, _ in script]
    assert greeting == "Welcome to Harbour Books. How can I help you?"
    assert replies == [reply for _, reply in script]
    assert [text for who, text in booth.transcript if who == "caller"] == [text for text, _ in script]
    assert booth.faults == []
    assert booth.acts == [talk.Ready(), talk.HangUp("done")]
    assert booth.sound_ms > 15_000
    assert len(booth.speech) == 2 * len(script)
    booth.line.tell(talk.Ending(talk.Reason.AGENT, "agent", 5000, may_speak=True))
    await asyncio.sleep(0)
    account = booth.acts[2]
    assert isinstance(account, talk.Summary)
    assert json.loads(account.fields)["message"] == {
        "about": "an appointment", "call_back": "123", "complete": True
    }  # fmt: skip
    assert booth.acts[3:] == [talk.Ack()]


async def test_it_asks_again_and_connects(booth: Booth, folder: Path) -> None:
    await booth.answer()
    assert "I did not understand" in await say(booth, folder, STRANGE[0], CALLERS[0])
    assert [fault.code for fault in booth.faults] == ["not_understood"]
    assert "connect you with support" in await say(booth, folder, "support please", CALLERS[0])
    assert booth.acts[-1] == talk.Transfer("phone:support")


async def test_the_farewell_when_somebody_else_ends_the_call(booth: Booth) -> None:
    await booth.answer()
    booth.line.tell(talk.Ending(talk.Reason.API, "api", 5000, may_speak=True))
    assert await booth.reply() == "I have to end this call now. Thank you for calling. Goodbye."
    assert [type(act) for act in booth.acts] == [talk.Ready, talk.Summary, talk.Ack]


async def test_a_caller_who_keys_in_a_number(booth: Booth, folder: Path) -> None:
    await booth.answer()
    await say(booth, folder, "leave a message", CALLERS[0])
    await say(booth, folder, "an appointment", CALLERS[0])
    booth.press("5550123#")
    assert await booth.reply() == "I have 5, 5, 5, 0, 1, 2, 3. Is that right?"


async def test_a_silent_line_says_nothing(booth: Booth) -> None:
    await booth.answer()
    frame = from_linear(Codec.ULAW, noise(160, 30))
    await booth.hear([frame] * 1000)
    assert booth.speech == []
    assert [who for who, _ in booth.transcript] == ["agent"]
