"""The speech engines, chosen by the settings. A composition root: it names adapters of the voice room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.config import Settings
from gateway.runtime.packages import find_prefix, machine_recipe
from gateway.runtime.programs import find_outside
from voice_agents.ports import TextToSpeech
from voice_agents.providers.espeak import EspeakSettings, EspeakSpeech
from voice_agents.providers.resample import resample


def make_speech(command: tuple[str, ...], folder: Path, wall: Callable[[], float]) -> TextToSpeech:
    """The speech engine: espeak-ng, its sounds kept in ``folder``."""
    return EspeakSpeech(EspeakSettings(command, folder), wall)


def resampled(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """16-bit mono PCM at another sampling rate. About two seconds of CPU a minute of sound."""
    return resample(pcm, from_hz, to_hz)


def espeak_command(settings: Settings) -> tuple[str, ...]:
    """How espeak-ng is run here; a name that fails by itself where it is not to be had."""
    found = find_outside("espeak-ng", settings.espeak_ng_bin, lambda _: None)
    if found is not None:
        return found.head
    prefix = find_prefix(settings.runtime_dir, machine_recipe())
    return tuple(prefix.command("espeak-ng")) if prefix is not None else ("espeak-ng",)
