"""Speech from espeak-ng, one short process for each text that was not spoken before.

The text goes in by standard input, never by the command line. The engine's 22,050 Hz becomes the asked
rate in a second process. Results are files named by what made them; equal requests share one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from telephony.errors import SpeechUnavailable
from voice_agents.core.text import ESPEAK_VOICES, SpeechLimits, admit, speech_key
from voice_agents.core.wav import Mono, from_wav, to_wav
from voice_agents.ports import Speech
from voice_agents.providers import resample
from voice_agents.providers.sound_files import look, prune, store

_RECIPE = "espeak-ng/1"
"""Changes whenever the same request would give another sound."""


@dataclass(frozen=True, slots=True)
class EspeakSettings:
    """``command`` runs espeak-ng; ``folder`` keeps the sound files, about ``max_octets`` in all.

    The folder may be the one the switch plays from: ``Speech.path`` relative to it, without ``.wav``, is
    then what Playback takes.
    """

    command: tuple[str, ...]
    folder: Path
    words_per_minute: int = 155
    max_characters: int = 2000
    deadline_s: float = 20.0
    at_once: int = 2
    max_octets: int = 256_000_000


class EspeakSpeech:
    """``TextToSpeech`` by espeak-ng. ``wall`` gives seconds since 1970, to tell old files from new."""

    def __init__(self, settings: EspeakSettings, wall: Callable[[], float]) -> None:
        self._settings, self._wall = settings, wall
        self._turns = asyncio.Semaphore(settings.at_once)
        self._running: set[asyncio.subprocess.Process] = set()
        self._names = itertools.count()
        self._closed = False

    def limits(self) -> SpeechLimits:
        return SpeechLimits(
            frozenset(ESPEAK_VOICES), frozenset({8000, 16000, 24000}), self._settings.max_characters
        )

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        cleaned = admit(text, voice, rate_hz, self.limits())
        key = speech_key(_RECIPE, self._settings.words_per_minute, voice, rate_hz, cleaned)
        path = self._settings.folder / key[:2] / f"{key}.wav"
        if (found := await asyncio.to_thread(look, path)) is not None:
            return found
        try:
            async with asyncio.timeout(self._settings.deadline_s), self._turns:
                found = await asyncio.to_thread(look, path)
                return found or await self._make(cleaned, ESPEAK_VOICES[voice], rate_hz, path)
        except TimeoutError:
            raise SpeechUnavailable(f"speech took longer than {self._settings.deadline_s:g} s") from None
        except OSError as error:
            raise SpeechUnavailable(f"speech could not be made: {error.strerror}") from error

    async def _make(self, text: str, engine_voice: str, rate_hz: int, path: Path) -> Speech:
        spoken = await self._run(self._engine(engine_voice), _without_phonemes(text).encode())
        try:
            sound = from_wav(spoken)
        except ValueError as error:
            raise SpeechUnavailable("the speech engine gave no sound") from error
        if not sound.pcm:
            raise SpeechUnavailable("the speech engine gave no sound")
        if sound.rate_hz != rate_hz:
            script = [sys.executable, "-I", resample.__file__, str(sound.rate_hz), str(rate_hz)]
            sound = Mono(await self._run(script, sound.pcm), rate_hz)
        part = path.with_name(f".{path.stem}.{os.getpid()}.{next(self._names)}.part")
        await asyncio.to_thread(store, to_wav(sound), part, path)
        await asyncio.to_thread(prune, self._settings.folder, self._settings.max_octets, self._wall())
        return Speech(path, sound.duration_ms, rate_hz)

    def _engine(self, voice: str) -> list[str]:
        speed = str(self._settings.words_per_minute)
        return [*self._settings.command, "-v", voice, "-s", speed, "-b", "1", "--stdin", "--stdout"]

    async def _run(self, argv: Sequence[str], stdin: bytes) -> bytes:
        """What the process printed. Raises ``SpeechUnavailable`` if it fails; never leaves it running."""
        if self._closed:
            raise SpeechUnavailable("the speech engine is closed")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        self._running.add(process)
        try:
            out, _ = await process.communicate(stdin)
        finally:
            self._running.discard(process)
            await _end(process)
        if process.returncode != 0:
            raise SpeechUnavailable(f"the speech engine failed (exit {process.returncode})")
        return out

    async def close(self) -> None:
        self._closed = True
        for process in tuple(self._running):
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills the process and whatever it started (it leads a group of its own)."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _without_phonemes(text: str) -> str:
    """espeak-ng takes what stands between ``[[`` and ``]]`` for phoneme names; text is only text here."""
    return text.replace("[", "(").replace("]", ")")
