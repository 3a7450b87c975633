"""A speech front without engines: text is heard as octets, words are understood because a test says so."""

from __future__ import annotations

import asyncio

from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.talk import (
    Audio,
    Caption,
    Language,
    Play,
    SpeechStarted,
    SpeechStopped,
    Utterance,
    Words,
)
from voice_agents.fakes_desk import FakeDetector
from voice_agents.ports import SpeechEar

MS_A_CHARACTER = 60
MAKING_S = 0.15
SOUND = 0x61


class FakeFront:
    """Fits ``voice_agents.ports.SpeechFront``: 60 ms of sound a character, ready 150 ms after it was asked
    for; what is not silence is speech. ``heard`` counts frames; ``understands`` has the caller say words."""

    def __init__(self, codec: Codec, ear: SpeechEar) -> None:
        self._codec, self._ear = codec, ear
        self._detector = FakeDetector(codec, 120)
        self._made: asyncio.Queue[Words | Play] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._speak())
        self._dropping = self._open = False
        self.heard = self.stops = 0
        self.languages: list[Language] = []
        self.closed = False

    def hear(self, frame: bytes, at_ms: int) -> None:
        self.heard += 1
        voicing = self._detector.feed(frame)
        if voicing is not None:
            kind = SpeechStarted if voicing.speaking else SpeechStopped
            self._ear.caught(kind(max(0, at_ms - voicing.ago_ms)))

    def understands(self, text: str, at_ms: int, until_ms: int, *, final: bool = True) -> None:
        if final:
            self._dropping = False
        self._ear.caught(Utterance(text, at_ms, until_ms, 0.9, final))

    def speak(self, words: Words) -> None:
        if self._dropping:
            self._dropping = not words.last
            return
        self._open = not words.last
        self._made.put_nowait(words)

    def play(self, play: Play) -> None:
        self._made.put_nowait(play)

    def stop(self) -> None:
        self.stops += 1
        self._dropping, self._open = self._open or self._dropping, False
        self._task.cancel()
        self._made = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._speak())

    def language(self, language: Language) -> None:
        self.languages.append(language)

    async def close(self) -> None:
        self.closed = True
        self._task.cancel()
        await asyncio.wait({self._task})
        del self._task

    async def _speak(self) -> None:
        while True:
            said = await self._made.get()
            await asyncio.sleep(MAKING_S)
            text = said.text if isinstance(said, Words) else "sound"
            if isinstance(said, Words):
                self._ear.voiced(Caption(text, said.last))
            frames = -(-len(text) * MS_A_CHARACTER // 20)
            self._ear.voiced(Audio(bytes((SOUND,)) * (self._codec.frame_bytes * frames)))
            if isinstance(said, Play) or said.last:
                self._ear.spoken()


class FakeFronts:
    """Fits ``voice_agents.ports.SpeechFronts``."""

    def __init__(self) -> None:
        self.fronts: list[FakeFront] = []

    def front(self, spec: AgentSpec, codec: Codec, ear: SpeechEar) -> FakeFront:
        made = FakeFront(codec, ear)
        self.fronts.append(made)
        return made
