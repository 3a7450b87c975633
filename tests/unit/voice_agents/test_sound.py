"""Conversions between the codecs of a media leg, and loudness."""

from __future__ import annotations

import math
import subprocess
import sys
from array import array

import pytest

from voice_agents.core.audio import Codec
from voice_agents.core.sound import from_linear, mixed, pcm_rms, rms, scaled, to_linear

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
