"""Sounds the switch can play, by name: text spoken for the occasion, and prompts kept in files.

Fits ``gateway.http.ports.Prompts``. Names are paths below the switch's sounds folder, without ending.
"""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import struct
import wave
from pathlib import Path

import structlog

from telephony.errors import SpeechUnavailable
from telephony.ids import TenantId
from voice_agents.ports import TextToSpeech

_log = structlog.get_logger("gateway.prompts")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
AWAY = "patchbay-away"
WARNING = "patchbay-warning"
WARNING_HZ = 1400
_AWAY_TEXT = "We are sorry. Your call cannot be connected at the moment. Please try again in a few minutes."


def kept_prompt(folder: Path, tenant: str, name: str) -> Path | None:
    """The file of a tenant's prompt below the sounds folder; None where the name cannot be one.

    >>> kept_prompt(Path("sounds"), "ten_default", "welcome")
    PosixPath('sounds/prompts/ten_default/welcome.wav')
    >>> kept_prompt(Path("sounds"), "ten_default", "../welcome")
    """
    if _NAME.fullmatch(name) is None:
        return None
    return folder / "prompts" / tenant / f"{name}.wav"


class SpokenPrompts:
    """``folder`` is the sounds folder; spoken text is below ``tts``, kept prompts are below ``prompts``."""

    def __init__(self, speech: TextToSpeech, folder: Path) -> None:
        self.speech = self._speech = speech
        self._folder = folder

    async def spoken(self, text: str, voice: str | None) -> str:
        """The name of this text as sound. Raises InvalidInput and SpeechUnavailable."""
        said = await (self._speech.speak(text, voice=voice) if voice else self._speech.speak(text))
        return str(said.path.relative_to(self._folder).with_suffix(""))

    async def stored(self, tenant: TenantId, name: str) -> str | None:
        """The name of a tenant's kept prompt (``prompts/<tenant>/<name>.wav``), or None."""
        path = kept_prompt(self._folder, tenant, name)
        there = path is not None and await asyncio.to_thread(path.is_file)
        return f"prompts/{tenant}/{name}" if there else None

    async def prepare_away(self) -> None:
        """Make what the dialplan plays by itself: the tone before a call's limit, and what it says when the
        gateway is away; without speech it plays a tone instead of that."""
        await asyncio.to_thread(write_warning, self._folder)
        target = self._folder / f"{AWAY}.wav"
        try:
            said = await self._speech.speak(_AWAY_TEXT)
        except SpeechUnavailable as error:
            _log.warning("prompt.away_missing", reason=error.message)
            return
        await asyncio.to_thread(_put, said.path, target)


def write_warning(folder: Path) -> None:
    """Make the tone that a call's parties hear before its limit: two beeps of a fifth of a second."""
    target = folder / f"{WARNING}.wav"
    beep = [round(9000 * math.sin(2 * math.pi * WARNING_HZ * n / 8000)) for n in range(1600)]
    samples = [*beep, *([0] * 1200), *beep]
    part = target.with_suffix(".part")
    with wave.open(str(part), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    part.replace(target)


def _put(source: Path, target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)
