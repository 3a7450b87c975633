"""A folder of spoken texts, named by what made them."""

from __future__ import annotations

import os
import wave
from pathlib import Path

from voice_agents.ports import Speech

_KEPT_AT_LEAST_S = 3600.0
_OURS = "[0-9a-f][0-9a-f]/" + 64 * "[0-9a-f]" + ".wav"
"""Only what this module names; the folder may hold other sounds."""


def look(path: Path) -> Speech | None:
    """A finished file, or nothing. A damaged one counts as nothing and is made anew."""
    try:
        with wave.open(str(path), "rb") as sound:
            frames, rate = sound.getnframes(), sound.getframerate()
        if not frames:
            return None
        os.utime(path)
    except (OSError, EOFError, wave.Error):
        return None
    return Speech(path, frames * 1000 // rate, rate)


def store(file: bytes, part: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_bytes(file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def prune(folder: Path, max_octets: int, now: float) -> None:
    """Removes the files used longest ago, down to the limit; none that was used within the last hour."""
    files = [(file.stat(), file) for file in folder.glob(_OURS)]
    total = sum(stat.st_size for stat, _ in files)
    for stat, file in sorted(files, key=lambda pair: pair[0].st_mtime):
        if total <= max_octets or now - stat.st_mtime < _KEPT_AT_LEAST_S:
            return
        file.unlink(missing_ok=True)
        total -= stat.st_size
