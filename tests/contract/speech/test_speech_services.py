"""Services that speak and listen, as the settings choose them: what goes over the wire, and what does not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import wiring_speech
from gateway.cli.doctor import examine_speech
from gateway.config import Settings
from gateway.config_speech import OPERATORS
from gateway.runtime.ports import bound
from gateway.speech_reach import GuardedSpeech
from gateway.trial.audio import tone, tone_seconds
from gateway.webhooks.core.ssrf import Policy
from gateway.wiring_speech import AgentSpeech
from telephony.errors import SpeechUnavailable
from tests.contract.voice_agents.spoken import Caller, engine, on_the_line, said
from tests.rig.certificates import make_authority
from tests.rig.conversations import spec_of
from tests.rig.speech_services import HZ, TOKEN, SpeechServices, speech_services, understood
from voice_agents.core.audio import Codec
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.core.reception_words import YES_NO
from voice_agents.core.sound import to_linear
from voice_agents.core.talk import Audio, Caption, Fault, SpeechStarted, SpeechStopped, Utterance, Words
from voice_agents.core.wav import from_wav
from voice_agents.ports import Heard, Stream, TextToSpeech
from voice_agents.providers.webrtc_vad import WebrtcDetectors
from voice_agents.speech.front import Fronts

pytestmark = pytest.mark.contract

GRAMMAR = Grammar("g", (Rule("a", "good [day]"),))
Make = Callable[..., AgentSpeech]


@pytest_asyncio.fixture
async def services() -> AsyncIterator[SpeechServices]:
    async with speech_services() as running:
        yield running
        assert running.faults == [], "nothing but what is documented was sent"


@pytest_asyncio.fixture
async def make(
    services: SpeechServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Make]:
    """Speech as the gateway's wiring makes it from its variables, with services that may be slow."""
    monkeypatch.setattr(wiring_speech, "SERVICE_S", 60.0)
    made: list[AgentSpeech] = []
    offline = engine(tmp_path / "offline", Caller())

    def one(reach: GuardedSpeech | None = None, **variables: str) -> AgentSpeech:
        named = {
            "PATCHBAY_TTS": "http",
            "PATCHBAY_TTS_URL": services.http("/speak"),
            "PATCHBAY_TTS_TOKEN": TOKEN,
            "PATCHBAY_TTS_VOICES": "en-US,de-DE=Clara 2",
            "PATCHBAY_STT": "websocket",
            "PATCHBAY_STT_URL": services.socket(),
            "PATCHBAY_STT_TOKEN": TOKEN,
            "PATCHBAY_VAR_DIR": str(tmp_path),
            **{f"PATCHBAY_{name}": value for name, value in variables.items()},
        }
        settings = Settings.from_env({"HOME": "/", **named})
        made.append(AgentSpeech(settings, offline, time.time, time.monotonic, reach))
        return made[-1]

    yield one
    for speech in made:
        await speech.close()
    await offline.close()


async def spoken(
    engine: TextToSpeech, text: str = "good day to you", voice: str = "en-US", rate_hz: int = 8000
) -> bytes:
    speech = await engine.speak(text, voice=voice, rate_hz=rate_hz)
    return from_wav(await asyncio.to_thread(speech.path.read_bytes)).pcm


async def turn(
    speech: AgentSpeech,
    *sound: bytes,
    grammar: Grammar | None = GRAMMAR,
    partial: Callable[[Heard], None] = lambda heard: None,
) -> Heard:
    listening = speech.hearing.listen("en-US", 8000, grammar, partial)
    for part in sound or (bytes(320), bytes(320)):
        listening.feed(part)
    return await listening.finish()


# ---------------------------------------------------------------- what goes over the wire


@pytest.mark.parametrize("kind", ["audio/wav", "audio/l16"])
async def test_words_are_spoken_by_the_service(services: SpeechServices, make: Make, kind: str) -> None:
    services.kind = kind
    speech = make()
    pcm = await spoken(speech.voice)
    assert tone_seconds(pcm, HZ) == pytest.approx(0.4)
    assert await spoken(speech.voice) == pcm
    await spoken(speech.voice, "guten tag", voice="de-DE", rate_hz=16000)
    said_to_it = [("good day to you", "en-US", 8000), ("guten tag", "Clara 2", 16000)]
    assert services.texts == said_to_it, "what was spoken once is not asked for again"


async def test_a_turn_goes_over_a_stream(services: SpeechServices, make: Make) -> None:
    speech, guesses = make(), list[Heard]()
    sound = [tone(440.0, 0.02)] * 100
    heard = await turn(speech, *sound, partial=guesses.append)
    whole = b"".join(sound)
    assert heard == Heard(understood(whole), 0.8)
    assert services.turns == [whole]
    assert (services.languages, services.hints) == (["en-US"], [["good", "good day"]])
    assert (await turn(speech, grammar=None)).text == understood(bytes(640))
    assert services.hints[1] == []


async def test_guesses_come_while_the_caller_speaks(services: SpeechServices, make: Make) -> None:
    guessed = asyncio.Event()
    listening = make().hearing.listen("en-US", 16000, None, lambda heard: guessed.set())
    listening.feed(bytes(640))
    async with asyncio.timeout(60.0):
        await guessed.wait()
    listening.feed(bytes(640))
    assert (await listening.finish()).text == understood(bytes(1280))


async def test_a_turn_goes_as_a_file(services: SpeechServices, make: Make) -> None:
    speech = make(STT="http", STT_URL=services.http("/hear"), STT_LANGUAGES="en-US,de")
    assert (await turn(speech)).text == understood(bytes(640))
    assert (services.languages, services.hints) == (["en-US"], [["good", "good day"]])
    assert speech.hearing.limits().languages == {"en-US", "de"}


async def test_what_is_given_up_leaves_no_connection(services: SpeechServices, make: Make) -> None:
    speech = make()
    guessed = asyncio.Event()
    listening = speech.hearing.listen("en-US", 8000, None, lambda heard: guessed.set())
    listening.feed(bytes(320))
    async with asyncio.timeout(60.0):
        await guessed.wait()
    assert services.open_streams == 1
    listening.cancel()
    await services.streams.until(lambda: services.open_streams == 0, within_s=60.0, what="closed")


# ---------------------------------------------------------------- services that are away


async def test_the_offline_engines_stand_in(services: SpeechServices, make: Make, tmp_path: Path) -> None:
    speech = make()
    services.away = True
    assert tone_seconds(await spoken(speech.voice, "yes"), HZ) == 0.0
    line = on_the_line(await said(tmp_path, Caller(), "yes please"), Codec.ULAW, 300, 300)
    sound = [to_linear(Codec.ULAW, frame) for frame in line]
    assert (await turn(speech, *sound, grammar=YES_NO)).text == "yes please"
    services.away = False
    assert tone_seconds(await spoken(speech.voice, "yes"), HZ) > 0.0, "the other's sound was not kept"


async def test_without_a_standby_the_failure_is_told(services: SpeechServices, make: Make) -> None:
    services.away = True
    for speech in (
        make(SPEECH_STANDBY="0"),
        make(SPEECH_STANDBY="0", STT="http", STT_URL=services.http("/hear")),
    ):
        with pytest.raises(SpeechUnavailable, match="503"):
            await spoken(speech.voice)
        with pytest.raises(SpeechUnavailable, match="503"):
            await turn(speech)


async def test_a_service_that_stays_away_is_left_alone(services: SpeechServices, make: Make) -> None:
    speech = make(STT_LANGUAGES="en-US")
    services.away = True
    for _ in range(4):
        await spoken(speech.voice, "yes")
    assert services.asked == 2
    assert speech.away == {"tts": True, "stt": False}
    assert make(TTS="espeak", TTS_URL="", TTS_TOKEN="", TTS_VOICES="", SPEECH_STANDBY="0").away == {}


@pytest.mark.parametrize("how", ["moved", "plain", "long", "binary", "bad-text", "hangs-up"])
async def test_what_is_no_speech_service_is_said_so(services: SpeechServices, make: Make, how: str) -> None:
    speech = make(SPEECH_STANDBY="0", STT_URL=services.socket(f"/wrong/{how}"))
    with pytest.raises(SpeechUnavailable):
        await turn(speech)
    assert services.asked == 1, "and nobody else is asked"


async def test_nobody_listens(make: Make) -> None:
    with bound("127.0.0.1", 0, socket.SOCK_STREAM) as silent:
        speech = make(SPEECH_STANDBY="0", STT_URL=f"ws://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(SpeechUnavailable, match="reached"):
            await turn(speech)


async def test_a_connection_that_is_not_answered_is_given_up(services: SpeechServices) -> None:
    reach = GuardedSpeech(OPERATORS)
    with pytest.raises(SpeechUnavailable, match="within"):
        await reach.open(services.socket("/wrong/slow"), {}, 0.2, 1000)
    await reach.close()


async def test_a_stream_that_is_over_takes_nothing(services: SpeechServices) -> None:
    reach = GuardedSpeech(OPERATORS)
    stream: Stream = await reach.open(services.socket("/wrong/hangs-up"), {}, 60.0, 1000)
    assert await stream.receive() is None
    with pytest.raises(SpeechUnavailable, match="hung up"):
        await stream.send("x")
    with pytest.raises(SpeechUnavailable, match="hung up"):
        await stream.send(b"x")
    await stream.close()
    await reach.close()


# ---------------------------------------------------------------- where one may go


@pytest.mark.parametrize(
    "url",
    ["wss://127.0.0.1/", "ws://8.8.8.8/", "https://speech.example.com/", "wss:/x", "", "ws://10.0.0.7/"],
)
async def test_where_one_may_not_go(url: str) -> None:
    reach = GuardedSpeech(Policy())
    with pytest.raises(SpeechUnavailable, match="refused"):
        await reach.open(url, {}, 5.0, 1000)
    await reach.close()


async def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "tls", "the-authority")
    files = authority.issue("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    believing = ssl.create_default_context(cafile=files.ca)
    async with speech_services(context) as services:
        stranger, friend = GuardedSpeech(OPERATORS), GuardedSpeech(OPERATORS, tls=believing)
        with pytest.raises(SpeechUnavailable, match="reached"):
            await stranger.open(services.socket(), {}, 60.0, 1000)
        assert services.asked == 0
        stream = await friend.open(services.socket(), {"Authorization": f"Bearer {TOKEN}"}, 60.0, 1000)
        await stream.close()
        await stranger.close()
        await friend.close()
        assert services.faults == []


# ---------------------------------------------------------------- as a session has it


class Ear:
    """Who listens to the front."""

    def __init__(self) -> None:
        self.sound = bytearray()
        self.captions: list[str] = []
        self.faults: list[Fault] = []
        self.heard: list[str] = []
        self.done = asyncio.Event()
        self.caught_one = asyncio.Event()

    def caught(self, told: Utterance | SpeechStarted | SpeechStopped) -> None:
        if isinstance(told, Utterance) and told.final:
            self.heard.append(told.text)
            self.caught_one.set()

    def voiced(self, said: Caption | Audio) -> None:
        if isinstance(said, Caption):
            self.captions.append(said.text)
        else:
            self.sound += said.data

    def spoken(self) -> None:
        self.done.set()

    def failed(self, fault: Fault) -> None:
        self.faults.append(fault)


async def test_a_session_speaks_and_hears_through_the_services(
    services: SpeechServices, make: Make, tmp_path: Path
) -> None:
    speech, ear = make(), Ear()
    spec = spec_of({"dialect": "conversationrelay", "url": "wss://bots.example.com/"})
    front = Fronts(speech.voice, speech.hearing, WebrtcDetectors()).front(spec, Codec.SLIN, ear)
    front.speak(Words("Good day to you.", last=True))
    async with asyncio.timeout(60.0):
        await ear.done.wait()
        assert ear.captions == ["Good day to you."]
        assert tone_seconds(bytes(ear.sound), HZ) == pytest.approx(0.4)
        line = on_the_line(await said(tmp_path, Caller(), "yes please"), Codec.SLIN, 500, 1500)
        for n, frame in enumerate(line):
            front.hear(frame, n * 20)
        await ear.caught_one.wait()
    await front.close()
    assert ear.heard == [understood(services.turns[0])]
    assert len(services.turns[0]) > 8000
    assert ear.faults == []


# ---------------------------------------------------------------- what the doctor says


async def test_the_doctor_asks_the_services_that_are_chosen(
    services: SpeechServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring_speech, "SERVICE_S", 60.0)

    def chosen(**variables: str) -> Settings:
        named = {f"PATCHBAY_{name}": value for name, value in variables.items()}
        return Settings.from_env({"HOME": "/", "PATCHBAY_VAR_DIR": str(tmp_path), **named})

    offline = await examine_speech(chosen())
    assert [(one.verdict, one.detail) for one in offline] == [
        ("ok", "espeak-ng, offline"),
        ("ok", "pocketsphinx, offline"),
    ]
    both = {
        "TTS": "http",
        "TTS_URL": services.http("/speak?key=hidden"),
        "TTS_TOKEN": TOKEN,
        "TTS_VOICES": "en-US",
        "STT": "websocket",
        "STT_URL": services.socket("/stream?key=hidden"),
        "STT_TOKEN": TOKEN,
    }
    well = await examine_speech(chosen(**both))
    assert [one.verdict for one in well] == ["ok", "ok"]
    assert [one.detail.split(" answers")[0] for one in well] == [services.http(""), services.socket("")]
    services.away = True
    away = await examine_speech(chosen(**both))
    assert [one.verdict for one in away] == ["fail", "fail"]
    assert all("503" in one.detail and "stands in" in one.detail for one in away)
    assert "stands in" not in (await examine_speech(chosen(**both, SPEECH_STANDBY="0")))[0].detail
    assert "hidden" not in str([*well, *away])
