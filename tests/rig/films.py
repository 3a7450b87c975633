"""What is seen and heard in a film."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.runtime.programs import ffmpeg_program
from gateway.trial.audio import RATE


async def decoded(film: Path, *how: str) -> bytes:
    """All of it as ffmpeg decodes it; that it does is asserted."""
    process = await asyncio.create_subprocess_exec(
        *(ffmpeg_program(), "-loglevel", "error", "-i", str(film), *how, "-"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out


async def sound_of(film: Path) -> bytes:
    return await decoded(film, "-f", "s16le", "-ar", str(RATE), "-ac", "1")
