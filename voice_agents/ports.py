"""What the voice room needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.grammar import Grammar
from voice_agents.core.talk import (
    Audio,
    Begin,
    Caption,
    Fault,
    Language,
    Play,
    Said,
    SpeechStarted,
    SpeechStopped,
    Told,
    Utterance,
    Words,
)
from voice_agents.core.text import SpeechLimits
from voice_agents.ports_desk import AgentBook as AgentBook
from voice_agents.ports_desk import Announcer as Announcer
from voice_agents.ports_desk import CallControl as CallControl
from voice_agents.ports_desk import SessionStore as SessionStore
from voice_agents.ports_desk import Tools as Tools
from voice_agents.ports_media import MediaEar as MediaEar
from voice_agents.ports_media import MediaLeg as MediaLeg
from voice_agents.ports_media import MediaPort as MediaPort


@dataclass(frozen=True, slots=True)
class Speech:
    """Spoken text as a file: WAV, one channel, 16-bit. It is shared with others: do not change it.
    ``instead``: another engine stood in; who keeps sounds does not keep this one."""

    path: Path
    duration_ms: int
    rate_hz: int
    instead: bool = False


class TextToSpeech(Protocol):
    """Turns text into sound."""

    def limits(self) -> SpeechLimits:
        """The voices, rates and lengths it accepts."""
        ...

    async def speak(self, text: str, *, voice: str = "en-US", rate_hz: int = 8000) -> Speech:
        """The text spoken, finished and on disk.

        Raises ``InvalidInput`` for a text, voice or rate outside ``limits()``, ``SpeechUnavailable``
        if the engine is missing, fails, or is too slow.
        """
        ...

    async def close(self) -> None:
        """Ends what is running; nothing may be asked afterwards."""
        ...


# ---------------------------------------------------------------- the agent's line


Wire = str | bytes
"""One message of a dialect: text or binary."""


class Dialect(Protocol):
    """A protocol that agents speak: pure, one object a connection. ``text_level``: it is of words, speech is
    ours. ``has_ready``: the agent says when it is ready, else its handshake does. ``bye_by_closing``: to
    close in good order is to hang up. ``has_pause``: the agent can be asked to send no more sound."""

    @property
    def text_level(self) -> bool: ...

    @property
    def has_ready(self) -> bool: ...

    @property
    def bye_by_closing(self) -> bool: ...

    @property
    def has_pause(self) -> bool: ...

    @property
    def broken(self) -> str:
        """Why nothing more can come of this connection, in a few words; empty while it works."""
        ...

    def tell(self, told: Told) -> Sequence[Wire]:
        """The messages that say this; none where the dialect has no word for it."""
        ...

    def hear(self, message: Wire) -> Sequence[Said]:
        """What a message says. Never raises: what is not of this dialect is ``Malformed``, and what a later
        version of it may mean says nothing."""
        ...

    def owed(self) -> Sequence[Wire]:
        """The messages that what was just heard, or told, makes the dialect itself send; each but once."""
        ...


class AgentEar(Protocol):
    """Who listens to an agent. Must return at once."""

    def said(self, said: Said) -> None: ...

    def lost(self, why: str) -> None:
        """The line is gone, unasked: ``refused``, ``timeout``, ``closed``, ``stuck``."""
        ...


class AgentLine(Protocol):
    """An open line to one agent, for one session."""

    def tell(self, told: Told) -> bool:
        """Say it. False where the line is gone, or so far behind that sound was dropped. Never waits."""
        ...

    async def close(self, code: int = 1000) -> None: ...


class AgentLines(Protocol):
    """How agents are reached."""

    async def open(self, spec: AgentSpec, begin: Begin, ear: AgentEar) -> AgentLine:
        """Connect and send ``begin``. ``Ready`` follows by ``ear.said``. Raises ``AgentUnavailable``."""
        ...


# ---------------------------------------------------------------- speech


@dataclass(frozen=True, slots=True)
class Voicing:
    """The caller began (``speaking``) or stopped to speak, ``ago_ms`` before the end of the frame that
    settled it."""

    speaking: bool
    ago_ms: int = 0


class SpeechDetector(Protocol):
    """Tells speech from other sound in one call. Given every frame, in order; what the agent's own echo may
    have caused comes as a frame of silence."""

    def feed(self, frame: bytes) -> Voicing | None:
        """What this frame settles, if anything. ``speaking`` true and false take turns."""
        ...


class Detectors(Protocol):
    """Where a call's detector comes from."""

    def detector(self, codec: Codec, min_ms: int) -> SpeechDetector:
        """One for sound in ``codec`` that takes at least ``min_ms`` of speech for speech."""
        ...


@dataclass(frozen=True, slots=True)
class HearingLimits:
    """What an engine understands: language tags (``*``: any), sampling rates in Hz, and sounds of up to
    ``most_ms``. ``grammars``: it can be told what may be said, and ``needs_grammar``: it must be.
    ``streaming``: it gives partial results."""

    languages: frozenset[str]
    rates_hz: frozenset[int]
    most_ms: int
    grammars: bool = False
    needs_grammar: bool = False
    streaming: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What was understood of one turn, and how surely (0 to 1). Empty ``text``: it was not understood."""

    text: str
    confidence: float = 1.0


class Recogniser(Protocol):
    """One turn of a caller's speech, on its way into an engine."""

    def feed(self, pcm: bytes) -> None:
        """Linear sound, at the rate that was agreed. Never waits."""
        ...

    async def finish(self) -> Heard:
        """The turn is over: what was it? Raises ``SpeechUnavailable`` if the engine fails or is too slow."""
        ...

    def cancel(self) -> None:
        """It is of no interest any more. After ``finish`` nothing happens."""
        ...


class SpeechToText(Protocol):
    """Turns sound into text."""

    def limits(self) -> HearingLimits:
        """The languages and rates it accepts."""
        ...

    def listen(
        self, language: str, rate_hz: int, grammar: Grammar | None, partial: Callable[[Heard], None]
    ) -> Recogniser:
        """Begin a turn; ``partial`` hears what is understood meanwhile. Raises ``InvalidInput`` for what
        ``limits()`` does not have, ``SpeechUnavailable`` if the engine takes no more."""
        ...

    async def close(self) -> None:
        """Ends what is running; nothing may be asked afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer over HTTP: its status, its type without parameters, its body."""

    status: int
    content_type: str
    body: bytes


class Connector(Protocol):
    """How a provider is reached over HTTP. It looks after where may be connected to."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, deadline_s: float, most_bytes: int
    ) -> Fetched:
        """Post and read the answer. Raises ``SpeechUnavailable`` where the address may not be reached, does
        not answer in time, or answers more than ``most_bytes``. Redirections are not followed."""
        ...


class Stream(Protocol):
    """An open WebSocket to a provider."""

    async def send(self, message: str | bytes) -> None:
        """Raises ``SpeechUnavailable`` once it is closed."""
        ...

    async def receive(self) -> str | None:
        """The next text message; None once it is closed. Others are left out."""
        ...

    async def close(self) -> None: ...


class StreamConnector(Protocol):
    """How a provider is reached over WebSocket. It looks after where may be connected to."""

    async def open(self, url: str, headers: Mapping[str, str], deadline_s: float, most_bytes: int) -> Stream:
        """Connect. ``most_bytes``: the longest message that is taken. Raises ``SpeechUnavailable``."""
        ...


class SpeechEar(Protocol):
    """Who listens to a speech front. Must return at once."""

    def caught(self, told: Utterance | SpeechStarted | SpeechStopped) -> None:
        """What the caller did. Partial utterances too (``final`` false)."""
        ...

    def voiced(self, said: Caption | Audio) -> None:
        """Sound of the words that were asked for, in the leg's codec and of any length; each piece of text
        comes as a ``Caption`` right before its sound."""
        ...

    def spoken(self) -> None:
        """All sound of one turn (``Words`` up to ``last``), or of one ``Play``, has been given. Not called
        for what was stopped."""
        ...

    def failed(self, fault: Fault) -> None:
        """Something could not be spoken, played or understood; the rest goes on."""
        ...


class SpeechFront(Protocol):
    """Ears and voice of one session whose agent reads and writes words. Nothing here waits."""

    def hear(self, frame: bytes, at_ms: int) -> None:
        """One frame of the caller's sound, in the leg's codec; silence where it may be our own echo."""
        ...

    def speak(self, words: Words) -> None:
        """Speak this after what was asked for before."""
        ...

    def play(self, play: Play) -> None: ...

    def stop(self) -> None:
        """Drop what was asked for and has not been voiced; of a turn that comes in pieces, the rest too."""
        ...

    def language(self, language: Language) -> None: ...

    async def close(self) -> None: ...


class SpeechFronts(Protocol):
    """Where a session's speech front comes from."""

    def front(self, spec: AgentSpec, codec: Codec, ear: SpeechEar) -> SpeechFront: ...


Now = Callable[[], float]
