"""The voice of one session: words in, sound out, phrase by phrase.

The next phrases are made while one is given, so that speech begins with the first and does not stop between
them. Sound is given no more than some seconds ahead of the pace at which it is heard.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.audio import Codec
from voice_agents.core.phrasing import Phrasing
from voice_agents.core.talk import Audio, Caption, Fault, Play, Words
from voice_agents.core.wav import Mono
from voice_agents.ports import SpeechEar
from voice_agents.speech.shelf import Shelf, in_codec, nothing_to_say

_log = structlog.get_logger("voice_agents.speech")
Fetch = Callable[[str], Awaitable[Mono]]
"""Gets the sound at an address. Raises ``SpeechUnavailable``."""


@dataclass(frozen=True, slots=True)
class VoiceLimits:
    """``speak_s`` and ``fetch_s``: how long one phrase, one address may take. Sound is given at most
    ``ahead_s`` before it is due, ``at_once`` phrases are made at a time, ``most_waiting`` wait."""

    speak_s: float = 8.0
    fetch_s: float = 10.0
    ahead_s: float = 10.0
    at_once: int = 2
    most_waiting: int = 200


@dataclass(slots=True, eq=False)
class _Turn:
    """What is asked for in one go. ``open``: more of it is to come."""

    preemptible: bool
    open: bool
    phrasing: Phrasing = field(default_factory=Phrasing)


@dataclass(slots=True, eq=False)
class _Piece:
    turn: _Turn
    text: str = ""
    voice: str = ""
    play: Play | None = None
    last: bool = False
    made: asyncio.Task[bytes] | None = None

    def drop(self) -> None:
        if self.made is not None:
            self.made.cancel()


class Voice:
    """Nothing here waits but the task that gives the sound."""

    def __init__(
        self, shelf: Shelf, codec: Codec, voice: str, ear: SpeechEar, limits: VoiceLimits, fetch: Fetch | None
    ) -> None:
        self._shelf, self._codec, self._ear, self._limits, self._fetch = shelf, codec, ear, limits, fetch
        self._own = self._voice = voice
        self._pieces: deque[_Piece] = deque()
        self._turn: _Turn | None = None
        self._dropping = False
        self._task: asyncio.Task[None] | None = None
        self._given_until = 0.0

    def language(self, tag: str) -> None:
        """Speak this language from the next phrase on."""
        if tag:
            self._voice = self._known(tag)

    def speak(self, words: Words) -> None:
        """Speak this after what was asked for before."""
        if self._dropping:
            self._dropping = not words.last
            return
        turn = self._turn if self._turn is not None and self._turn.open else self._begun(words.preemptible)
        turn.open = not words.last
        voice = self._known(words.language) if words.language else self._voice
        phrases = turn.phrasing.feed(words.text, words.last)
        if words.last and not phrases:
            phrases = [""]
        for n, phrase in enumerate(phrases):
            self._ask(_Piece(turn, phrase, voice, last=words.last and n == len(phrases) - 1))

    def play(self, play: Play) -> None:
        """Play the sound at an address after what was asked for before; 0 times: until more is asked for."""
        self._ask(_Piece(self._begun(False), play=play, last=True))

    def stop(self) -> None:
        """Drop what has not been given, and what is still to come of a turn in pieces."""
        self._dropping = self._turn is not None and self._turn.open
        self._turn = None
        self._drop_all()
        self._given_until = 0.0

    def answered(self) -> None:
        """The caller has spoken since: what is asked for now is no rest of a turn that was stopped."""
        self._dropping = False

    async def close(self) -> None:
        task = self._task
        self.stop()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    # ------------------------------------------------------------ inside

    def _begun(self, preemptible: bool) -> _Turn:
        if self._turn is not None and self._turn.preemptible:
            self._drop_turn(self._turn)
        self._turn = _Turn(preemptible, open=False)
        return self._turn

    def _drop_turn(self, turn: _Turn) -> None:
        """Drop what waits of a turn that its agent has something better for. It ends all the same."""
        for piece in [piece for piece in self._pieces if piece.turn is turn and not piece.last]:
            piece.drop()
            self._pieces.remove(piece)
        for piece in self._pieces:
            if piece.turn is turn:
                piece.drop()
                piece.text, piece.made = "", None

    def _drop_all(self) -> None:
        for piece in self._pieces:
            piece.drop()
        self._pieces.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ask(self, piece: _Piece) -> None:
        if len(self._pieces) >= self._limits.most_waiting and not piece.last:
            self._ear.failed(Fault("speech_overflow", "more words wait than anybody will hear"))
            return
        self._pieces.append(piece)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._give_all())

    async def _give_all(self) -> None:
        while self._pieces:
            for piece in list(self._pieces)[: self._limits.at_once]:
                if piece.made is None and (piece.play is not None or piece.text.strip()):
                    piece.made = asyncio.get_running_loop().create_task(self._make(piece))
            piece = self._pieces[0]
            await self._give(piece)
            if self._task is not asyncio.current_task():
                return
            if self._pieces and self._pieces[0] is piece:
                self._pieces.popleft()
            if piece.last:
                self._ear.spoken()

    async def _give(self, piece: _Piece) -> None:
        if piece.made is None:
            self._caption(piece)
            return
        await asyncio.wait([piece.made])
        if piece.made is None or piece.made.cancelled():
            self._caption(piece)
            return
        try:
            sound = piece.made.result()
        except InvalidInput as error:
            if not nothing_to_say(error):
                self._ear.failed(Fault("speech_refused", error.message))
            self._caption(piece)
            return
        except SpeechUnavailable as error:
            self._ear.failed(Fault("speech_failed", error.message))
            return
        except Exception:  # noqa: BLE001  # why: edge of a task; a broken engine costs one phrase
            _log.exception("speech.voice_broken")
            self._ear.failed(Fault("speech_failed", "the speech engine is broken"))
            return
        if piece.play is not None:
            await self._repeat(piece, sound)
            return
        await self._keep_pace()
        self._caption(piece)
        self._sound(sound)

    async def _repeat(self, piece: _Piece, sound: bytes) -> None:
        times = 0 if piece.play is None else piece.play.times
        count = 0
        while sound and (count < times or (times == 0 and len(self._pieces) == 1)):
            await self._keep_pace()
            self._sound(sound)
            count += 1

    def _caption(self, piece: _Piece) -> None:
        """Before its sound. Of a turn that was dropped meanwhile, only that it is over."""
        if piece.play is None and (piece.text or piece.last):
            self._ear.voiced(Caption(piece.text, final=piece.last))

    def _sound(self, sound: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._given_until = max(now, self._given_until) + self._codec.ms(len(sound)) / 1000
        self._ear.voiced(Audio(sound))

    async def _keep_pace(self) -> None:
        early = self._given_until - asyncio.get_running_loop().time() - self._limits.ahead_s
        if early > 0:
            await asyncio.sleep(early)

    async def _make(self, piece: _Piece) -> bytes:
        limit = self._limits.speak_s if piece.play is None else self._limits.fetch_s
        try:
            async with asyncio.timeout(limit):
                if piece.play is None:
                    return await self._shelf.sound(piece.text, piece.voice, self._codec)
                if self._fetch is None:
                    raise SpeechUnavailable("sounds at addresses are not played here")
                return in_codec(await self._fetch(piece.play.url), self._codec)
        except TimeoutError:
            raise SpeechUnavailable("the sound was not there in time") from None

    def _known(self, tag: str) -> str:
        voice = self._shelf.voice_for(tag, self._own)
        if voice is None:
            self._ear.failed(Fault("language_unknown", "there is no voice for this language"))
            return self._voice
        return voice
