"""Frames of sound as an agent's call carries them: 20 ms each, one channel.

Linear sound is signed 16-bit, low octet first, as Asterisk's ``slin`` formats are.
"""

from __future__ import annotations

from enum import Enum

FRAME_MS = 20
"""How long every frame sounds."""


class Codec(Enum):
    """A sound format of a media leg. The value: Asterisk's name, sampling rate (Hz), octets a frame, and the
    octet of silence."""

    ULAW = ("ulaw", 8000, 160, 0xFF)
    ALAW = ("alaw", 8000, 160, 0xD5)
    SLIN = ("slin", 8000, 320, 0)
    SLIN16 = ("slin16", 16000, 640, 0)
    SLIN24 = ("slin24", 24000, 960, 0)

    @property
    def asterisk(self) -> str:
        """The format's name in Asterisk's dial strings."""
        return self.value[0]

    @property
    def rate_hz(self) -> int:
        return self.value[1]

    @property
    def frame_bytes(self) -> int:
        return self.value[2]

    @property
    def linear(self) -> bool:
        return self not in (Codec.ULAW, Codec.ALAW)

    @property
    def silence(self) -> bytes:
        """One frame of silence."""
        return bytes((self.value[3],)) * self.value[2]

    def ms(self, octets: int) -> int:
        """How many whole milliseconds this many octets sound."""
        return octets * FRAME_MS // self.frame_bytes


def codec_named(name: str) -> Codec:
    """The codec with this name in Asterisk. Raises ``KeyError``."""
    return _BY_NAME[name]


_BY_NAME = {codec.asterisk: codec for codec in Codec}
