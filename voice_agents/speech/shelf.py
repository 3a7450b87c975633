"""Spoken text as sound of a call, kept for the next time that it is said."""

from __future__ import annotations

import asyncio
import unicodedata
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.audio import Codec
from voice_agents.core.sound import Resampler, from_linear
from voice_agents.core.text import kin, nearest_voice
from voice_agents.core.wav import Mono, from_wav
from voice_agents.ports import TextToSpeech

Read = Callable[[Path], Awaitable[bytes]]


async def read_file(path: Path) -> bytes:
    """The octets of a file, read beside the loop."""
    return await asyncio.to_thread(path.read_bytes)


class Shelf:
    """Shared by all sessions. Keeps the sounds that were used last, up to ``most_bytes``."""

    def __init__(self, speech: TextToSpeech, read: Read = read_file, most_bytes: int = 16_000_000) -> None:
        self._speech, self._read, self._most = speech, read, most_bytes
        self._kept: OrderedDict[tuple[str, str, Codec], bytes] = OrderedDict()
        self._size = 0

    def voice_for(self, language: str, preferred: str) -> str | None:
        """The voice of a language: its own, else ``preferred`` if it speaks it, else one of its kin."""
        voices = self._speech.limits().voices
        if not language:
            return preferred if preferred in voices else None
        if language not in voices and preferred in voices and kin(preferred) == kin(language):
            return preferred
        return nearest_voice(language, voices)

    async def sound(self, text: str, voice: str, codec: Codec) -> bytes:
        """The text spoken, in the codec. Raises ``InvalidInput`` for what cannot be said,
        ``SpeechUnavailable`` if the engine fails."""
        key = (text, voice, codec)
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return found
        rates = self._speech.limits().rates_hz
        rate = codec.rate_hz if codec.rate_hz in rates else max(rates)
        spoken = await self._speech.speak(_without_controls(text), voice=voice, rate_hz=rate)
        try:
            made = in_codec(from_wav(await self._read(spoken.path)), codec)
        except (OSError, ValueError) as error:
            raise SpeechUnavailable("what was spoken cannot be read") from error
        if not spoken.instead:
            self._keep(key, made)
        return made

    def _keep(self, key: tuple[str, str, Codec], sound: bytes) -> None:
        if key in self._kept or len(sound) > self._most:
            return
        self._kept[key] = sound
        self._size += len(sound)
        while self._size > self._most:
            self._size -= len(self._kept.popitem(last=False)[1])


def in_codec(sound: Mono, codec: Codec) -> bytes:
    """Linear sound of any rate, in the codec."""
    return from_linear(codec, Resampler(sound.rate_hz, codec.rate_hz).feed(sound.pcm))


def _without_controls(text: str) -> str:
    """A streaming agent's text may hold anything; one such character is no reason to be silent."""
    return "".join(" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in text)


def nothing_to_say(error: InvalidInput) -> bool:
    """Whether this text was refused as one without a word in it, rather than for its voice."""
    return error.field == "text"
