"""Files of sound, at whatever rate, as frames at ours."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from telephony.errors import InvalidInput
from video_rooms.core.sound import FRAME_BYTES, RATE_HZ, frames_of, quiet, read_wav, resampled

pytestmark = pytest.mark.unit


def tone(hz: float, seconds: float, rate: int) -> bytes:
    at = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hz * at) * 10_000).astype("<i2").tobytes()


def wav(sound: bytes, rate: int, *, channels: int = 1, width: int = 2) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(sound)
    return made.getvalue()


def loudness(sound: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(sound, "<i2").astype(float) ** 2)))


def strongest(sound: bytes) -> float:
    samples = np.frombuffer(sound, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[int(spectrum.argmax())])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_tone_stays_the_same_tone_as_loud_and_as_long(rate: int) -> None:
    sound = read_wav(wav(tone(1000, 0.5, rate), rate))
    assert abs(len(sound) - RATE_HZ) <= 4
    assert abs(strongest(sound) - 1000) < 5
    assert loudness(sound[2000:-2000]) == pytest.approx(10_000 / 2**0.5, rel=0.02)


@pytest.mark.parametrize(("rate", "hertz", "mirror"), [(8_000, 1000, 7000), (11_025, 4000, 7025)])
def test_up_no_mirror_of_it_is_added(rate: int, hertz: int, mirror: int) -> None:
    samples = np.frombuffer(read_wav(wav(tone(hertz, 1.0, rate), rate)), "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples[800:-800] * np.hanning(len(samples) - 1600)))
    hz = np.fft.rfftfreq(len(samples) - 1600, 1 / RATE_HZ)
    assert spectrum[np.abs(hz - mirror) < 20].max() < spectrum.max() / 300, "50 dB softer"


def test_down_what_the_rate_cannot_carry_is_kept_out() -> None:
    assert loudness(resampled(tone(11_000, 0.5, 48_000), 48_000, RATE_HZ)[1000:-1000]) < 100


def test_frames_are_whole_and_the_last_is_filled_up() -> None:
    frames = frames_of(b"\x01\x02" * 500)
    assert [len(frame) for frame in frames] == [FRAME_BYTES, FRAME_BYTES]
    assert frames[1].endswith(bytes(280))
    assert frames_of(b"") == []
    assert quiet(bytes(FRAME_BYTES))
    assert not quiet(frames[0])


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"RIFF",
        b"no sound at all" * 10,
        wav(b"\0" * 400, 8000, channels=2),
        wav(b"\0" * 400, 8000, width=1),
        wav(b"\0" * 400, 2000),
        wav(b"\0" * 4000 * 2 * 601, 4000),
    ],
)
def test_nothing_else_is_taken(octets: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_wav(octets)


def test_a_file_that_breaks_off_gives_what_is_there() -> None:
    assert read_wav(wav(tone(500, 0.2, 8000), 8000)[:-501]) != b""
