"""Changing the sampling rate keeps what the new rate can carry and removes the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.trial import audio
from voice_agents.providers import resample as program
from voice_agents.providers.resample import resample

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("hz", [200, 1000, 3000])
def test_speech_band_passes_unchanged(hz: float) -> None:
    out = resample(audio.tone(hz, 0.5, rate=22050), 22050, 8000)
    assert audio.duration_ms(out) == pytest.approx(500, abs=1)
    middle = out[1600:-1600]
    assert audio.tone_share(middle, hz) > 0.99
    assert audio.level_db(middle) == pytest.approx(audio.level_db(audio.tone(hz, 0.5)), abs=0.3)


@pytest.mark.parametrize("hz", [4400, 6000, 9000])
def test_what_would_fold_back_is_gone(hz: float) -> None:
    out = resample(audio.tone(hz, 0.5, rate=22050), 22050, 8000)
    assert audio.level_db(out[1600:-1600]) < -55


def test_upwards_and_equal() -> None:
    sound = audio.tone(1000, 0.3)
    up = resample(sound, 8000, 16000)
    assert audio.tone_share(up[1600:-1600], 1000, rate=16000) > 0.99
    assert resample(sound, 8000, 8000) == sound


@settings(max_examples=20, deadline=None)
@given(
    st.binary(max_size=400), st.sampled_from([(22050, 8000), (8000, 16000), (16000, 8000), (44100, 16000)])
)
def test_any_sound_keeps_its_length(pcm: bytes, rates: tuple[int, int]) -> None:
    out = resample(pcm, *rates)
    assert len(out) // 2 == len(pcm) // 2 * rates[1] // rates[0]


def test_full_scale_is_cut_not_wrapped() -> None:
    square = audio.pcm_of(([32767] * 40 + [-32768] * 40) * 20)
    out = audio.samples(resample(square, 22050, 8000))
    assert max(out) == 32767
    assert min(out) == -32768


@pytest.mark.parametrize("rates", [(0, 8000), (8000, -1)])
def test_rates_are_positive(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError):
        resample(b"\0\0", *rates)


def test_as_a_program_of_its_own() -> None:
    sound = audio.tone(500, 0.2, rate=22050)
    done = subprocess.run(
        [sys.executable, "-I", program.__file__, "22050", "8000"],
        input=sound,
        capture_output=True,
        check=True,
    )
    assert done.stdout == resample(sound, 22050, 8000)
