"""What every TextToSpeech must do: the real engine and the stand-in alike."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.trial import audio
from telephony.errors import InvalidInput, SpeechUnavailable
from tests.rig.world import tools
from voice_agents.fakes import FakeSpeech
from voice_agents.ports import TextToSpeech
from voice_agents.providers.espeak import EspeakSettings, EspeakSpeech

pytestmark = pytest.mark.contract

GREETING = "This call may be recorded. Please hold the line."


def espeak(folder: Path, *command: str, deadline_s: float = 60.0, max_octets: int = 10**9) -> EspeakSpeech:
    engine = command or tuple(tools().command("espeak-ng"))
    settings = EspeakSettings(
        engine, folder, max_characters=300, deadline_s=deadline_s, max_octets=max_octets
    )
    return EspeakSpeech(settings, time.time)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return " Z " not in stat


async def until(holds: Callable[[], object]) -> None:
    """Wait for a process to have done what no event tells of."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 # why: files and processes tell nobody
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(params=["espeak-ng", "fake"])
async def speech(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TextToSpeech]:
    engine: TextToSpeech = espeak(tmp_path) if request.param == "espeak-ng" else FakeSpeech(tmp_path, 300)
    yield engine
    await engine.close()


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
async def test_a_file_that_can_be_heard(speech: TextToSpeech, rate_hz: int) -> None:
    spoken = await speech.speak(GREETING, voice="en-US", rate_hz=rate_hz)
    heard = audio.read_wav(spoken.path)
    assert (heard.rate, heard.channels) == (rate_hz, 1)
    assert spoken.rate_hz == rate_hz
    assert abs(heard.duration_ms - spoken.duration_ms) <= 1
    assert 1500 < spoken.duration_ms < 8000
    assert audio.active_seconds(heard.pcm, rate=rate_hz) > 1.0


async def test_more_text_takes_longer(speech: TextToSpeech) -> None:
    short = await speech.speak("Hello.")
    long = await speech.speak(f"Hello. {GREETING} {GREETING}")
    assert long.duration_ms > 2 * short.duration_ms
    assert long.path != short.path


async def test_voices_differ_and_equal_requests_agree(speech: TextToSpeech) -> None:
    first = await speech.speak("Eins zwei drei", voice="de-DE")
    again = await speech.speak("  Eins zwei\ndrei ", voice="de-DE")
    other = await speech.speak("Eins zwei drei", voice="en-US")
    assert again == first
    assert other.path != first.path


async def test_many_at_once(speech: TextToSpeech) -> None:
    spoken = await asyncio.gather(*(speech.speak(f"Number {n % 4}") for n in range(12)))
    assert len({s.path for s in spoken}) == 4
    assert all(audio.read_wav(s.path).pcm for s in spoken)


@pytest.mark.parametrize(
    ("text", "voice", "rate_hz", "field"),
    [
        ("", "en-US", 8000, "text"),
        (" \n\t ", "en-US", 8000, "text"),
        ("…!?", "en-US", 8000, "text"),
        ("hi\0there", "en-US", 8000, "text"),
        ("\x01250S fast", "en-US", 8000, "text"),
        ("word " * 100, "en-US", 8000, "text"),
        ("hi", "../../etc/passwd", 8000, "voice"),
        ("hi", "en-us", 8000, "voice"),
        ("hi", "en-US", 44100, "rate_hz"),
    ],
)
async def test_what_is_refused_names_the_field(
    speech: TextToSpeech, text: str, voice: str, rate_hz: int, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await speech.speak(text, voice=voice, rate_hz=rate_hz)
    assert refused.value.field == field
    assert refused.value.expected


async def test_closed_speaks_no_more(speech: TextToSpeech) -> None:
    await speech.close()
    with pytest.raises(SpeechUnavailable):
        await speech.speak("Too late")


# The real engine's own promises


async def test_a_text_is_spoken_only_once(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    counting = tmp_path / "engine.sh"
    real = " ".join(tools().command("espeak-ng"))
    counting.write_text(f'echo x >> {counter}\nexec {real} "$@"\n')
    engine = espeak(tmp_path / "cache", "/bin/sh", str(counting))
    for _ in range(3):
        await engine.speak(GREETING)
    assert counter.read_text() == "x\n"
    await espeak(tmp_path / "cache", "/bin/sh", str(counting)).speak(GREETING)
    assert counter.read_text() == "x\n"


async def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    engine = espeak(tmp_path)
    first = await engine.speak(GREETING)
    first.path.write_bytes(b"")
    assert await engine.speak(GREETING) == first
    assert audio.active_seconds(audio.read_wav(first.path).pcm) > 1.0


@pytest.mark.parametrize(
    ("script", "complaint"),
    [("exit 3", "exit 3"), ("cat > /dev/null; echo not audio", "no sound"), ("cat > /dev/null", "no sound")],
)
async def test_a_broken_engine_is_said_so(tmp_path: Path, script: str, complaint: str) -> None:
    with pytest.raises(SpeechUnavailable, match=complaint):
        await espeak(tmp_path, "/bin/sh", "-c", script, "sh").speak(GREETING)
    assert files_in(tmp_path) == []


async def test_a_hanging_engine_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child"
    script = f"sleep 600 & echo $! > {child}.new; mv {child}.new {child}; wait"
    deadlines, real = dict[object, asyncio.Timeout](), asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        deadlines[asyncio.current_task()] = made = real(delay)
        return made

    monkeypatch.setattr("asyncio.timeout", noted)
    speaking = asyncio.create_task(
        espeak(tmp_path, "/bin/sh", "-c", script, "sh", deadline_s=600).speak(GREETING)
    )
    async with real(60):
        while not child.exists():  # noqa: ASYNC110 # why: a file tells nobody
            await asyncio.sleep(0.01)
    now = asyncio.get_running_loop().time()
    deadlines[speaking].reschedule(now)  # over, now that the child is there
    with pytest.raises(SpeechUnavailable, match="longer than"):
        await speaking
    await until(lambda: not is_running(int(child.read_text())))


async def test_a_missing_engine_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SpeechUnavailable, match="No such file"):
        await espeak(tmp_path, str(tmp_path / "absent")).speak(GREETING)


async def test_text_is_not_on_the_command_line(tmp_path: Path) -> None:
    seen = tmp_path / "argv"
    script = f'echo "$@" > {seen}; exit 1'
    with pytest.raises(SpeechUnavailable):
        await espeak(tmp_path, "/bin/sh", "-c", script, "sh").speak("--help secret words")
    assert "secret" not in seen.read_text()
    assert "-v en-us" in seen.read_text()


async def test_brackets_are_not_phonemes(tmp_path: Path) -> None:
    engine = espeak(tmp_path)
    plain = await engine.speak("(hh) (@l'oU)")
    bracketed = await engine.speak("[hh] [@l'oU]")
    assert plain.path.read_bytes() == bracketed.path.read_bytes()


async def test_old_files_make_room_and_recent_or_foreign_ones_stay(tmp_path: Path) -> None:
    old, foreign = aged(tmp_path / "00" / f"{'0' * 64}.wav"), aged(tmp_path / "en" / "welcome.wav")
    engine = espeak(tmp_path, max_octets=1)
    spoken = await engine.speak(GREETING)
    assert not old.exists()
    assert foreign.exists()
    assert spoken.path.exists()


def aged(file: Path) -> Path:
    """A file that was used two hours ago."""
    file.parent.mkdir()
    file.write_bytes(bytes(1000))
    then = time.time() - 7200
    os.utime(file, (then, then))
    return file
