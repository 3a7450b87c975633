"""µ-law, tones, presence and WAV as the simulated phones use them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trial import audio

pytestmark = pytest.mark.unit


def test_ulaw_known_codes() -> None:
    # ITU-T G.711 table 2a: 0 ↔ 0xFF, the largest step ±32124 ↔ 0x80 / 0x00.
    assert audio.ulaw_encode(audio.pcm_of([0, 32124, -32124])) == bytes([0xFF, 0x80, 0x00])
    assert list(audio.samples(audio.ulaw_decode(bytes([0xFF, 0x80, 0x00, 0x7F])))) == [0, 32124, -32124, 0]


def test_ulaw_every_code_survives_the_round_trip() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)  # 0x7F is minus zero, encoded as 0xFF
    assert audio.ulaw_encode(audio.ulaw_decode(codes)) == codes


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=200))
def test_ulaw_error_is_at_most_half_a_step(values: list[int]) -> None:
    back = audio.samples(audio.ulaw_decode(audio.ulaw_encode(audio.pcm_of(values))))
    for before, after in zip(values, back, strict=True):
        assert abs(before - after) <= max(4, abs(before) / 16 + 4) or abs(before) > 32124


def test_tone_is_found_and_another_is_not() -> None:
    sound = audio.tone(440, 1.0)
    assert audio.tone_share(sound, 440) > 0.98
    assert audio.tone_share(sound, 880) < 0.02
    assert audio.has_tone(sound, 440)
    assert not audio.has_tone(sound, 1000)


def test_tone_is_found_through_ulaw_noise_and_gaps() -> None:
    through = audio.ulaw_decode(audio.ulaw_encode(audio.tone(1004, 0.5)))
    gappy = audio.silence(0.53) + through + audio.silence(0.2) + through
    assert 0.7 <= audio.tone_seconds(gappy, 1004) <= 1.0


def test_silence_has_no_tone_and_no_activity() -> None:
    assert audio.tone_share(audio.silence(1), 440) == 0.0
    assert audio.active_seconds(audio.silence(1)) == 0.0
    assert audio.level_db(b"") == audio.SILENCE_DB


def test_levels_tell_each_second() -> None:
    levels = audio.levels_db(audio.silence(1) + audio.tone(300, 1, amplitude=0.5) + audio.silence(0.5))
    assert len(levels) == 3
    assert levels[0] == levels[2] == audio.SILENCE_DB
    assert levels[1] == pytest.approx(-9.0, abs=0.1)


def test_activity_counts_audible_time() -> None:
    assert audio.active_seconds(audio.silence(1) + audio.tone(500, 1.5) + audio.silence(1)) == 1.5


def test_wav_round_trip_splits_channels(tmp_path: Path) -> None:
    left, right = audio.tone(440, 0.5), audio.tone(880, 0.25)
    file = tmp_path / "two.wav"
    audio.write_wav(file, audio.Wave(audio.interleave(left, right), channels=2))
    read = audio.read_wav(file)
    assert (read.rate, read.channels, read.duration_ms) == (8000, 2, 500)
    assert read.channel(0) == left
    assert read.channel(1) == right + audio.silence(0.25)
    with pytest.raises(IndexError):
        read.channel(2)


def test_not_a_wav_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "x.wav"
    file.write_bytes(b"not audio")
    with pytest.raises(ValueError, match=r"x\.wav: not a WAV file"):
        audio.read_wav(file)
