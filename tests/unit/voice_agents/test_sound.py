"""Conversions between the codecs of a media leg, and loudness."""

from __future__ import annotations

import math
import subprocess
import sys
from array import array

import pytest

from voice_agents.core.audio import Codec
from voice_agents.core.sound import Resampler, from_linear, mixed, pcm_rms, rms, scaled, to_linear

pytestmark = pytest.mark.unit


def tone(hz: float, rate: int, ms: int, peak: int = 10_000) -> bytes:
    """A sine of linear sound."""
    step = 2 * math.pi * hz / rate
    return array("h", (round(peak * math.sin(step * n)) for n in range(rate * ms // 1000))).tobytes()


@pytest.mark.parametrize("codec", list(Codec))
def test_a_frame_keeps_its_length_and_its_sound(codec: Codec) -> None:
    pcm = tone(440, codec.rate_hz, 20)
    frame = from_linear(codec, pcm)
    assert len(frame) == codec.frame_bytes
    back = array("h", to_linear(codec, frame))
    assert max(abs(a - b) for a, b in zip(array("h", pcm), back, strict=True)) <= (0 if codec.linear else 512)


@pytest.mark.parametrize("codec", list(Codec))
def test_silence_is_the_codecs_own(codec: Codec) -> None:
    assert rms(codec, codec.silence) <= 8
    assert from_linear(codec, bytes(codec.frame_bytes * (1 if codec.linear else 2))) == codec.silence


@pytest.mark.parametrize("codec", list(Codec))
def test_loudness_is_the_root_mean_square(codec: Codec) -> None:
    frame = from_linear(codec, tone(400, codec.rate_hz, 20, peak=10_000))
    assert rms(codec, frame) == pytest.approx(10_000 / math.sqrt(2), rel=0.02)
    assert rms(codec, b"") == 0


def test_half_a_sample_is_dropped() -> None:
    assert from_linear(Codec.SLIN, b"\x01\x02\x03") == b"\x01\x02"
    assert len(from_linear(Codec.ULAW, b"\x01\x02\x03")) == 1
    assert pcm_rms(b"\x01") == 0


def test_what_is_too_loud_is_cut_off_and_never_wraps() -> None:
    loud = array("h", [30_000, -30_000]).tobytes()
    assert array("h", scaled(loud, 2.0)).tolist() == [32767, -32768]
    assert array("h", mixed(loud, loud)).tolist() == [32767, -32768]


def test_the_import_warns_of_nothing() -> None:
    command = [sys.executable, "-W", "error", "-c", "import voice_agents.core.sound"]
    assert subprocess.run(command, capture_output=True, check=False).stderr == b""


# Other rates


def level_of(hz: float, rate: int, pcm: bytes) -> float:
    """How much of this frequency is in the sound: the amplitude of a sine."""
    samples = array("h", pcm)[rate // 50 :]
    step = 2 * math.pi * hz / rate
    real = sum(s * math.cos(step * n) for n, s in enumerate(samples))
    imaginary = sum(s * math.sin(step * n) for n, s in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples)


RATES = [(a, b) for a in (8000, 16000, 24000) for b in (8000, 16000, 24000)]


@pytest.mark.parametrize(("old", "new"), RATES)
def test_another_rate_keeps_the_tone(old: int, new: int) -> None:
    made = Resampler(old, new).feed(tone(1000, old, 500))
    assert abs(len(made) / 2 - new / 2) <= 2
    assert level_of(1000, new, made) == pytest.approx(10_000, rel=0.06)


@pytest.mark.parametrize(
    ("old", "new", "hz"), [(16000, 8000, 5000), (24000, 8000, 6000), (24000, 16000, 10_000)]
)
def test_what_the_new_rate_cannot_carry_is_kept_out(old: int, new: int, hz: int) -> None:
    made = Resampler(old, new).feed(tone(hz, old, 500))
    assert level_of(new - hz, new, made) < 100


@pytest.mark.parametrize(("old", "new"), RATES)
def test_pieces_make_one_sound(old: int, new: int) -> None:
    whole = tone(700, old, 300)
    pieces = Resampler(old, new)
    cut = [whole[at : at + 322] for at in range(0, len(whole), 322)]
    assert b"".join(map(pieces.feed, cut)) == Resampler(old, new).feed(whole)


@pytest.mark.parametrize(("old", "new"), RATES)
def test_a_click_comes_through_at_once(old: int, new: int) -> None:
    silent = bytes(old // 50 * 2)
    click = array("h", [0] * (old // 100) + [20_000] * (old // 2000) + [0] * (old // 100)).tobytes()
    resampler = Resampler(old, new)
    resampler.feed(silent)
    heard = array("h", resampler.feed(click))
    loudest = max(range(len(heard)), key=lambda n: abs(heard[n]))
    assert loudest / new < 0.01 + 0.0005 + 0.0016


def test_rates_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(0, 8000)
