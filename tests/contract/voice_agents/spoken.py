"""Callers made of a speech engine, heard through a telephone line, and the receptionist at its other end."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.rig.world import tools
from voice_agents.builtin.receptionist import ReceptionLine
from voice_agents.core import talk
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.audio import FRAME_MS, Codec
from voice_agents.core.sound import from_linear, mixed, pcm_rms, scaled
from voice_agents.core.wav import from_wav
from voice_agents.providers.espeak import EspeakSettings, EspeakSpeech
from voice_agents.speech.front import Front

NOISE = 30
"""The line's own noise, root mean square of 16-bit samples: about -61 dBFS."""
PAUSE_MS = 1000
PATIENCE_S = 120.0
_LOUD = 6000
_NOISE, _CHANCE = array("h"), Random(1)


@dataclass(frozen=True)
class Caller:
    """A way to speak: the engine's voice, words a minute, pitch (0 to 99)."""

    voice: str = "en-US"
    speed: int = 155
    pitch: int = 50


def engine(folder: Path, caller: Caller) -> EspeakSpeech:
    """The speech engine, speaking as this caller."""
    command = (*tools().command("espeak-ng"), "-p", str(caller.pitch))
    return EspeakSpeech(EspeakSettings(command, folder / f"{caller.pitch}", caller.speed), time.time)


async def said(folder: Path, caller: Caller, text: str, rate_hz: int = 8000) -> bytes:
    """What a caller says, as clean linear sound without the silence around it."""
    (pcm,) = await each_said(folder, caller, [text], rate_hz)
    return pcm


async def each_said(folder: Path, caller: Caller, texts: Sequence[str], rate_hz: int = 8000) -> list[bytes]:
    """The same of several texts, as many at a time as the engine makes."""
    speech = engine(folder, caller)
    files = await asyncio.gather(*(speech.speak(text, voice=caller.voice, rate_hz=rate_hz) for text in texts))
    await speech.close()
    return [_trimmed(from_wav(await asyncio.to_thread(file.path.read_bytes)).pcm, rate_hz) for file in files]


def _trimmed(pcm: bytes, rate_hz: int) -> bytes:
    size = rate_hz // 50
    loud = [at for at in range(0, len(pcm), size) if pcm_rms(pcm[at : at + size]) > 60]
    return pcm[loud[0] : loud[-1] + size]


def noise(samples: int, level: int) -> bytes:
    """White noise of this loudness, to within one in 2000: always the same, as long as it is asked for."""
    while len(_NOISE) < samples:
        _NOISE.append(round(_CHANCE.gauss(0, _LOUD)))
    return scaled(_NOISE[:samples].tobytes(), level / _LOUD)


def on_the_line(pcm: bytes, codec: Codec, before_ms: int, after_ms: int, level: int = NOISE) -> list[bytes]:
    """Frames of a line with its noise, speech somewhere within."""
    octets = codec.rate_hz // 1000 * 2
    whole = bytes(before_ms * octets) + pcm + bytes(after_ms * octets)
    whole = whole[: len(whole) // (octets * FRAME_MS) * octets * FRAME_MS]
    sound = from_linear(codec, mixed(whole, noise(len(whole) // 2, level)))
    return [sound[at : at + codec.frame_bytes] for at in range(0, len(sound), codec.frame_bytes)]


@dataclass(eq=False)
class Booth:
    """A caller's end and the receptionist's, joined as a session joins them, without a switch between.

    ``transcript`` has what was understood and what was said, in order.
    """

    spec: AgentSpec
    front: Front = field(init=False)
    line: ReceptionLine = field(init=False)
    at_ms: int = 0
    transcript: list[tuple[str, str]] = field(default_factory=list)
    sound_ms: int = 0
    acts: list[talk.Said] = field(default_factory=list)
    faults: list[talk.Fault] = field(default_factory=list)
    speech: list[talk.SpeechStarted | talk.SpeechStopped] = field(default_factory=list)
    turns: deque[str] = field(default_factory=deque)
    _turn: str = ""
    _spoken: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    # The front's ear

    def caught(self, told: talk.Utterance | talk.SpeechStarted | talk.SpeechStopped) -> None:
        if isinstance(told, talk.Utterance):
            self.transcript.append(("caller", told.text))
        else:
            self.speech.append(told)
        self.line.tell(told)

    def voiced(self, told: talk.Caption | talk.Audio) -> None:
        if isinstance(told, talk.Audio):
            self.sound_ms += Codec.ULAW.ms(len(told.data))
        else:
            self._turn += told.text

    def spoken(self) -> None:
        self.transcript.append(("agent", self._turn))
        self._spoken.put_nowait(self._turn)
        self._turn = ""

    def failed(self, fault: talk.Fault) -> None:
        self.faults.append(fault)
        self.line.tell(fault)

    # The line's ear

    def said(self, told: talk.Said) -> None:
        if isinstance(told, talk.Words):
            self.front.speak(told)
        else:
            self.acts.append(told)

    def lost(self, why: str) -> None:
        raise AssertionError(f"the receptionist is lost: {why}")

    # What a test does

    async def answer(self) -> str:
        """The caller is there; the greeting."""
        self.line.begin()
        self.line.tell(talk.Answered())
        return await self.reply()

    async def reply(self) -> str:
        """The next that the receptionist says."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._spoken.get()

    async def hear(self, frames: list[bytes]) -> None:
        """Sound of the caller's line, faster than it would come."""
        for frame in frames:
            self.front.hear(frame, self.at_ms)
            self.at_ms += FRAME_MS
            await asyncio.sleep(0)

    def press(self, keys: str) -> None:
        for key in keys:
            self.line.tell(talk.Digit(key, self.at_ms))


def receptionist_spec(passed_on: str) -> AgentSpec:
    return AgentSpec("agent_1", 1, "tenant", "Reception", DialectName.BUILTIN, passed_on=passed_on)
