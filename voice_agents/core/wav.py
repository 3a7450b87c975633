"""The simplest WAV there is: one channel, 16-bit PCM, bytes in and bytes out. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")


@dataclass(frozen=True, slots=True)
class Mono:
    """PCM, 16-bit little-endian, one channel."""

    pcm: bytes
    rate_hz: int

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) // 2 * 1000 // self.rate_hz


def to_wav(sound: Mono) -> bytes:
    size, rate = len(sound.pcm), sound.rate_hz
    return (
        _HEADER.pack(
            b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size
        )
        + sound.pcm
    )  # fmt: skip


def from_wav(file: bytes) -> Mono:
    """Reads 16-bit mono. A length that runs past the end (a stream's header) means "to the end".

    Raises ``ValueError`` for anything else.
    """
    if len(file) < 12 or file[:4] != b"RIFF" or file[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    at, rate = 12, 0
    while at + 8 <= len(file):
        name, size = struct.unpack_from("<4sI", file, at)
        at += 8
        if name == b"fmt ":
            if at + 16 > len(file):
                break
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", file, at)
            if (kind, channels, bits) != (1, 1, 16):
                raise ValueError("not 16-bit mono PCM")
        elif name == b"data" and rate:
            body = file[at : at + size]
            return Mono(body[: len(body) // 2 * 2], rate)
        at += size + size % 2
    raise ValueError("no audio in the WAV file")
