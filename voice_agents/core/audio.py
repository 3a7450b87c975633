"""Frames of sound as an agent's call carries them: 20 ms each, one channel.

Linear sound is signed 16-bit, low octet first, as Asterisk's ``slin`` formats are.
"""

from __future__ import annotations

from enum import Enum

FRAME_MS = 20
"""How long every frame sounds."""


class Codec(Enum):
    """A sound format of a media leg. The value: Asterisk's name, sampling rate (Hz), octets a frame, and the
    octet of silence. What follows from it is made once: it is asked for thousands of times a second."""

    asterisk: str
    """The format's name in Asterisk's dial strings."""
    rate_hz: int
    frame_bytes: int
    linear: bool
    silence: bytes
    """One frame of silence."""

    ULAW = ("ulaw", 8000, 160, 0xFF)
    ALAW = ("alaw", 8000, 160, 0xD5)
    SLIN = ("slin", 8000, 320, 0)
    SLIN16 = ("slin16", 16000, 640, 0)
    SLIN24 = ("slin24", 24000, 960, 0)

    def __init__(self, asterisk: str, rate_hz: int, frame_bytes: int, silent: int) -> None:
        self.asterisk, self.rate_hz, self.frame_bytes = asterisk, rate_hz, frame_bytes
        self.linear = asterisk.startswith("slin")
        self.silence = bytes((silent,)) * frame_bytes

    def ms(self, octets: int) -> int:
        """How many whole milliseconds this many octets sound."""
        return octets * FRAME_MS // self.frame_bytes


def codec_named(name: str) -> Codec:
    """The codec with this name in Asterisk. Raises ``KeyError``."""
    return _BY_NAME[name]


_BY_NAME = {codec.asterisk: codec for codec in Codec}
