"""Prompts of one's own: any usual WAV becomes what the switch plays, and nothing leaves the folder."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import prompts
from gateway.cli.prompts import as_played, mixed
from gateway.prompts import kept_prompt
from gateway.trial.audio import has_tone, interleave, tone
from gateway.wiring_speech import resampled
from telephony.errors import InvalidInput
from voice_agents.core.wav import from_wav

pytestmark = pytest.mark.unit


def wav(pcm: bytes, rate: int = 8000, channels: int = 1, width: int = 2) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as sink:
        sink.setnchannels(channels)
        sink.setsampwidth(width)
        sink.setframerate(rate)
        sink.writeframes(pcm)
    return target.getvalue()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_usual_wav_becomes_what_the_switch_plays(rate: int, channels: int):
    sound = tone(440.0, 0.5, rate=rate)
    file = wav(interleave(sound, sound) if channels == 2 else sound, rate, channels)
    played = as_played(file, resampled)
    assert played.rate_hz == 8000
    assert abs(played.duration_ms - 500) <= 2
    assert has_tone(played.pcm, 440.0)


def test_loud_channels_do_not_clip_when_mixed():
    loud = b"\xff\x7f" * 4
    assert mixed(loud, 2) == b"\xff\x7f" * 2


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (b"RIFFnot really", "not a PCM WAV"),
        (b"", "not a PCM WAV"),
        (wav(b"\x80" * 100, width=1), "8-bit samples, 16 expected"),
        (wav(b""), "longer than 0"),
        (wav(bytes(2 * 601 * 8000)), "at most 600 s"),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_reason(file: bytes, says: str):
    with pytest.raises(InvalidInput, match=says):
        as_played(file, resampled)


def test_a_prompt_is_added_listed_replaced_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATCHBAY_VAR_DIR", str(tmp_path / "var"))
    source = tmp_path / "greeting.wav"
    source.write_bytes(wav(tone(440.0, 1.0, rate=16000), 16000))
    run = CliRunner()
    added = run.invoke(prompts.app, ["add", "welcome", str(source)], catch_exceptions=False)
    assert '{"prompt": "welcome"}' in added.output
    kept = tmp_path / "var/sounds/prompts/ten_default/welcome.wav"
    assert from_wav(kept.read_bytes()).rate_hz == 8000
    source.write_bytes(wav(tone(440.0, 2.0)))
    run.invoke(prompts.app, ["add", "welcome", str(source)], catch_exceptions=False)
    assert "2.0 s" in run.invoke(prompts.app, ["list"], catch_exceptions=False).output
    run.invoke(prompts.app, ["remove", "welcome"], catch_exceptions=False)
    assert [path.name for path in kept.parent.iterdir()] == []


def test_a_file_of_another_form_that_was_copied_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATCHBAY_VAR_DIR", str(tmp_path))
    folder = tmp_path / "sounds/prompts/ten_default"
    folder.mkdir(parents=True)
    (folder / "fast.wav").write_bytes(wav(tone(440.0, 1.0, rate=16000), 16000))
    (folder / "broken.wav").write_bytes(b"nothing")
    told = CliRunner().invoke(prompts.app, ["list"], catch_exceptions=False).output
    assert "broken" in told.splitlines()[0]
    assert "cannot be played: not a WAV file" in told
    assert "cannot be played: 16000 Hz, not 8000" in told


@pytest.mark.parametrize("name", ["../welcome", "a/b", "", "Über", "-x", "x" * 65, "a.b"])
def test_a_name_never_leaves_the_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATCHBAY_VAR_DIR", str(tmp_path))
    assert kept_prompt(tmp_path, "ten_default", name) is None
    with pytest.raises(InvalidInput, match="not a name for a prompt"):
        prompts.prompt_path("ten_default", name)
    with pytest.raises(InvalidInput, match="not the id of a tenant"):
        prompts.prompt_path("../ten", "welcome")
