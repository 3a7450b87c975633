"""Speech by somebody's service: what is asked, what counts as an answer, and what does not."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.core.wav import Mono, from_wav, to_wav
from voice_agents.ports import Fetched, Heard
from voice_agents.providers.http_speech import (
    HttpHearing,
    HttpHearingSettings,
    HttpSpeech,
    HttpSpeechSettings,
)

pytestmark = pytest.mark.contract

WAV = Fetched(200, "audio/wav", to_wav(Mono(array("h", [500, -500] * 800).tobytes(), 16000)))


class Service:
    """A ``Connector`` with its answer prepared, that writes down what it was asked."""

    def __init__(self, answer: Fetched | Exception, takes_s: float = 0.0, together: int = 1) -> None:
        self.answer, self.takes_s = answer, takes_s
        self.together = asyncio.Barrier(together)
        self.asked: list[tuple[str, Mapping[str, str], bytes, int]] = []
        self.at_once = self.most_at_once = 0

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, most_bytes: int
    ) -> Fetched:
        self.asked.append((url, headers, body, most_bytes))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.together.wait()
            await asyncio.sleep(self.takes_s)
        finally:
            self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def speech(folder: Path, service: Service, **settings: object) -> HttpSpeech:
    asked = HttpSpeechSettings("https://tts.example/v1", folder, frozenset({"en-US"}), **settings)  # type: ignore[arg-type]
    return HttpSpeech(asked, service, time.time)


def hearing(service: Service, **settings: object) -> HttpHearing:
    return HttpHearing(HttpHearingSettings("https://stt.example/v1?model=a", **settings), service)  # type: ignore[arg-type]


async def heard(engine: HttpHearing, pcm: bytes = bytes(320), grammar: Grammar | None = None) -> Heard:
    turn = engine.listen("en-US", 8000, grammar, lambda told: None)
    turn.feed(pcm)
    return await turn.finish()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- text to speech


async def test_a_text_is_asked_for_once_and_kept(tmp_path: Path) -> None:
    service = Service(WAV)
    engine = speech(tmp_path, service, secret="s3cret")
    spoken = await engine.speak(" Hello\nthere ")
    assert await engine.speak("Hello there") == spoken
    [(url, headers, body, _)] = service.asked
    assert (url, headers["Authorization"]) == ("https://tts.example/v1", "Bearer s3cret")
    assert json.loads(body) == {"text": "Hello there", "voice": "en-US", "rate_hz": 8000}
    assert "s3cret" not in repr(HttpSpeechSettings("u", tmp_path, frozenset(), secret="s3cret"))
    assert (spoken.rate_hz, spoken.duration_ms) == (8000, 100)
    assert from_wav(spoken.path.read_bytes()).rate_hz == 8000


async def test_without_a_secret_nothing_is_authorized(tmp_path: Path) -> None:
    service = Service(WAV)
    await speech(tmp_path, service).speak("Hello")
    assert "Authorization" not in service.asked[0][1]


async def test_bare_samples_come_high_octet_first(tmp_path: Path) -> None:
    service = Service(Fetched(200, "audio/L16", b"\x01\x02" * 800))
    spoken = await speech(tmp_path, service).speak("Hello")
    assert from_wav(spoken.path.read_bytes()).pcm[:4] == b"\x02\x01\x02\x01"
    assert spoken.duration_ms == 100


@pytest.mark.parametrize(
    "answer",
    [Fetched(500, "audio/wav", WAV.body), Fetched(302, "audio/wav", b""), Fetched(200, "text/html", b"<p>"),
     Fetched(200, "audio/wav", b"RIFF"), Fetched(200, "audio/wav", WAV.body[:44]),
     Fetched(200, "audio/l16", b""), Fetched(200, "audio/wav", WAV.body[:24]),
     Fetched(200, "audio/wav", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"),
     Fetched(200, "audio/wav", to_wav(Mono(bytes(10), 3))), SpeechUnavailable("forbidden")],
)  # fmt: skip
async def test_what_is_no_sound_is_said_so_and_not_kept(answer: Fetched | Exception, tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable):
        await speech(tmp_path, Service(answer)).speak("Hello")
    assert files_in(tmp_path) == []


async def test_a_slow_service_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable, match="longer than"):
        await speech(tmp_path, Service(WAV, takes_s=60), deadline_s=0.05).speak("Hello")


async def test_what_is_refused_is_not_asked_for(tmp_path: Path) -> None:
    service = Service(WAV)
    engine = speech(tmp_path, service, max_characters=10)
    for text, voice, rate in (
        ("Hello", "de-DE", 8000),
        ("Hello", "en-US", 44100),
        ("Hello " * 9, "en-US", 8000),
    ):
        with pytest.raises(InvalidInput):
            await engine.speak(text, voice=voice, rate_hz=rate)
    await engine.close()
    with pytest.raises(SpeechUnavailable, match="closed"):
        await engine.speak("Hello")
    assert service.asked == []


async def test_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    """Three are answered together, so that it takes as many to get an answer."""
    service = Service(WAV, together=3)
    engine = speech(tmp_path, service, at_once=3)
    await asyncio.gather(*(engine.speak(f"Number {n}") for n in range(9)))
    assert service.most_at_once == 3


# ---------------------------------------------------------------- speech to text


async def test_a_turn_is_sent_as_a_file_with_its_language_and_hints() -> None:
    service = Service(Fetched(200, "application/json", b'{"text": " Good  day\\u0000", "confidence": 0.5}'))
    grammar = Grammar("g", (Rule("a", "good [day]"),))
    assert await heard(hearing(service, secret="s3cret"), b"\1\2" * 8, grammar) == Heard("Good day", 0.5)
    [(url, headers, body, _)] = service.asked
    asked = parse_qs(urlsplit(url).query)
    assert asked == {"model": ["a"], "language": ["en-US"], "hints": ["good\ngood day"]}
    assert (headers["Content-Type"], headers["Authorization"]) == ("audio/wav", "Bearer s3cret")
    assert from_wav(body) == Mono(b"\1\2" * 8, 8000)


async def test_hints_stay_within_an_address() -> None:
    service = Service(Fetched(200, "application/json", b'{"text": ""}'))
    many = Grammar("g", tuple(Rule("a", f"sentence{'x' * n} (a | b | c) (d | e | f)") for n in range(11)))
    await heard(hearing(service), grammar=many)
    assert len(service.asked[0][0]) < 4000


@pytest.mark.parametrize(
    ("body", "sure"),
    [(b'{"text": "a"}', 1.0), (b'{"text": "a", "confidence": 7}', 1.0),
     (b'{"text": "a", "confidence": -1}', 0.0),
     (b'{"text": "a", "confidence": "x"}', 1.0), (b'{"text": "a", "confidence": NaN}', 0.0),
     (b'{"text": "a", "confidence": true}', 1.0)],
)  # fmt: skip
async def test_how_sure_it_is(body: bytes, sure: float) -> None:
    assert await heard(hearing(Service(Fetched(200, "application/json", body)))) == Heard("a", sure)


@pytest.mark.parametrize(
    "answer",
    [Fetched(503, "application/json", b'{"text": "a"}'), Fetched(200, "application/json", b"a"),
     Fetched(200, "application/json", b"[]"), Fetched(200, "application/json", b'{"text": 5}'),
     Fetched(200, "application/json", b"\xff"), Fetched(200, "application/json", b"{}"),
     Fetched(200, "application/json", b'{"text": "' + b"x" * 5000 + b'"}'), SpeechUnavailable("forbidden")],
)  # fmt: skip
async def test_what_is_no_text_is_said_so(answer: Fetched | Exception) -> None:
    with pytest.raises(SpeechUnavailable):
        await heard(hearing(Service(answer)))


async def test_a_slow_ear_is_not_waited_for() -> None:
    slow = Service(Fetched(200, "application/json", b'{"text": "a"}'), takes_s=60)
    with pytest.raises(SpeechUnavailable, match="in time"):
        await heard(hearing(slow, deadline_s=0.05))


async def test_turns_that_cannot_be_heard() -> None:
    service = Service(Fetched(200, "application/json", b'{"text": "a"}'))
    engine = hearing(service, languages=frozenset({"en-US"}), most_ms=100)
    for language, rate in (("de-DE", 8000), ("en-US", 11025)):
        with pytest.raises(InvalidInput):
            engine.listen(language, rate, None, lambda told: None)
    assert await heard(engine, b"") == Heard("", 0.0)
    turn = engine.listen("en-US", 8000, None, lambda told: None)
    turn.feed(bytes(320))
    turn.cancel()
    turn.feed(bytes(320))
    assert await turn.finish() == Heard("", 0.0)
    assert service.asked == []
    long = engine.listen("en-US", 8000, None, lambda told: None)
    for _ in range(20):
        long.feed(bytes(320))
    await long.finish()
    assert from_wav(service.asked[0][2]).duration_ms == 100
    await engine.close()
    with pytest.raises(SpeechUnavailable, match="closed"):
        await heard(engine)
