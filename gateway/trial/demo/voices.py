"""Words for simulated people, spoken by the engine that speaks announcements."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.trial.audio import read_wav
from gateway.trial.demo.stage import Stage


async def spoken(stage: Stage, text: str) -> bytes:
    """A text as 8 kHz PCM."""
    from gateway.clocks import SystemClock
    from gateway.wiring_speech import make_speech

    assert stage.stack.tools is not None, "the stack has been started"
    command = tuple(stage.stack.tools.command("espeak-ng"))
    speech = make_speech(command, stage.folder / "speech", SystemClock().epoch)
    try:
        said = await speech.speak(text)
        return (await asyncio.to_thread(read_wav, Path(said.path))).pcm
    finally:
        await speech.close()
