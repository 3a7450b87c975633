"""The ears of one session: the caller's frames in, what was said out, turn by turn and in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.audio import Codec
from voice_agents.core.grammar import Grammar
from voice_agents.core.sound import to_linear
from voice_agents.core.talk import Fault, SpeechStarted, SpeechStopped, Utterance
from voice_agents.core.turns import TurnBegan, TurnLimits, TurnOver, Turns, TurnSound
from voice_agents.ports import Heard, Recogniser, SpeechDetector, SpeechEar, SpeechToText

_log = structlog.get_logger("voice_agents.speech")
_MOST_TURNS = 3
"""So many turns may wait to be understood; who talks on meanwhile is not listened to."""


@dataclass(frozen=True, slots=True)
class EarLimits:
    """``hear_s``: how long it may take to understand a turn. Speech shorter than ``least_ms`` that was not
    understood was a noise. ``tell_lost``: say so where a turn was not understood."""

    turns: TurnLimits = field(default_factory=TurnLimits)
    hear_s: float = 6.0
    least_ms: int = 200
    tell_lost: bool = False


class Ears:
    """Nothing here waits but the tasks that understand."""

    def __init__(
        self, codec: Codec, detector: SpeechDetector, engine: SpeechToText, ear: SpeechEar, limits: EarLimits
    ) -> None:
        self._codec, self._detector, self._engine, self._ear = codec, detector, engine, ear
        self._limits = limits
        self._turns = Turns(limits.turns)
        self._now: Recogniser | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._before: asyncio.Task[None] | None = None
        self._began_ms = 0
        self.language = "en-US"
        self.grammar: Grammar | None = None

    def hear(self, frame: bytes, at_ms: int) -> None:
        """One frame, which began at ``at_ms``."""
        voicing = self._detector.feed(frame)
        for step in self._turns.feed(
            frame, at_ms, None if voicing is None else (voicing.speaking, voicing.ago_ms)
        ):
            match step:
                case SpeechStarted() | SpeechStopped():
                    if isinstance(step, SpeechStarted):
                        self._began_ms = step.at_ms
                    self._ear.caught(step)
                case TurnBegan(sound=sound):
                    self._begin(sound)
                case TurnSound(frame=sound) if self._now is not None:
                    self._now.feed(to_linear(self._codec, sound))
                case TurnOver():
                    self._over(step)

    async def close(self) -> None:
        if self._now is not None:
            self._now.cancel()
            self._now = None
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    # ------------------------------------------------------------ inside

    def _begin(self, sound: bytes) -> None:
        if len(self._waiting) >= _MOST_TURNS:
            self._ear.failed(Fault("hearing_behind", "turns are spoken faster than they are understood"))
            return
        try:
            self._now = self._listened(self._engine)
        except (InvalidInput, SpeechUnavailable) as error:
            self._ear.failed(Fault("hearing_failed", error.message))
            return
        self._now.feed(to_linear(self._codec, sound))

    def _listened(self, engine: SpeechToText) -> Recogniser:
        language = self.language
        limits = engine.limits()
        if "*" not in limits.languages and language not in limits.languages:
            language = language.split("-")[0]
        grammar = self.grammar if limits.grammars else None
        return engine.listen(language, self._codec.rate_hz, grammar, self._partial(self.language))

    def _partial(self, language: str) -> Callable[[Heard], None]:
        def told(heard: Heard) -> None:
            if heard.text.strip():
                at = self._began_ms
                self._ear.caught(
                    Utterance(heard.text, at, at, heard.confidence, final=False, language=language)
                )

        return told

    def _over(self, turn: TurnOver) -> None:
        recogniser, self._now = self._now, None
        if recogniser is None:
            return
        task = asyncio.get_running_loop().create_task(
            self._understand(recogniser, turn, self.language, self._before)
        )
        self._before = task
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _understand(
        self, recogniser: Recogniser, turn: TurnOver, language: str, before: asyncio.Task[None] | None
    ) -> None:
        fault: Fault | None = None
        heard = Heard("", 0.0)
        try:
            async with asyncio.timeout(self._limits.hear_s):
                heard = await recogniser.finish()
        except TimeoutError:
            recogniser.cancel()
            fault = Fault("hearing_failed", "speech was not understood in time")
        except (InvalidInput, SpeechUnavailable) as error:
            fault = Fault("hearing_failed", error.message)
        except Exception:  # noqa: BLE001  # why: edge of a task; a broken engine costs one turn
            _log.exception("speech.hearing_broken")
            fault = Fault("hearing_failed", "the speech engine is broken")
        if before is not None:
            await asyncio.wait([before])
        if fault is not None:
            self._ear.failed(fault)
        elif heard.text.strip():
            self._ear.caught(
                Utterance(heard.text.strip(), turn.at_ms, turn.until_ms, heard.confidence, language=language)
            )
        elif self._limits.tell_lost and turn.until_ms - turn.at_ms >= self._limits.least_ms:
            self._ear.failed(Fault("not_understood", "the caller was not understood"))
