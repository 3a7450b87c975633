"""What may be spoken."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import InvalidInput
from voice_agents.core.text import ESPEAK_VOICES, SpeechLimits, admit, clean, speech_key
from voice_agents.core.wav import Mono, from_wav, to_wav

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("  Hello,\r\n\tworld ", "Hello, world"),
        ("Zoe\u0308", "Zoë"),
        ("a\u202eb\ufeffc", "abc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("42", "42"),
    ],
)
def test_clean(text: str, spoken: str) -> None:
    assert clean(text, 100) == spoken


@pytest.mark.parametrize(
    "text", ["", "  ", "...", "a\x00b", "\x1b[2J hi", "a\x7f", "a\ud800", "x" * 101, " " * 401]
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clean(text, 100)
    assert refused.value.field == "text"


@given(st.text(max_size=150))
def test_no_text_yields_control_characters(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        cleaned = clean(text, 100)
        assert 0 < len(cleaned) <= 100
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in cleaned)
        assert cleaned.encode()


def test_a_hostile_voice_is_not_echoed_at_length() -> None:
    limits = SpeechLimits(frozenset(ESPEAK_VOICES), frozenset({8000}), 100)
    with pytest.raises(InvalidInput) as refused:
        admit("hi", "x" * 1000, 8000, limits)
    assert refused.value.value == "x" * 20


def test_keys_tell_requests_apart() -> None:
    assert speech_key("a", "bc") != speech_key("ab", "c")
    assert speech_key("a", 1) == speech_key("a", 1)


@given(st.binary(max_size=100).map(lambda b: b[: len(b) // 2 * 2]))
def test_wav_round_trip(pcm: bytes) -> None:
    assert from_wav(to_wav(Mono(pcm, 8000))) == Mono(pcm, 8000)


def test_a_streams_header_reads_to_the_end() -> None:
    file = bytearray(to_wav(Mono(b"\1\0\2\0", 22050)))
    file[40:44] = b"\x00\xf0\xff\x7f"
    assert from_wav(bytes(file)) == Mono(b"\1\0\2\0", 22050)


@pytest.mark.parametrize("file", [b"", b"RIFF....WAVE", b"RIFF\0\0\0\0WAVEdata\4\0\0\0\1\0\2\0"])
def test_not_a_wav(file: bytes) -> None:
    with pytest.raises(ValueError):
        from_wav(file)
