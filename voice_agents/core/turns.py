"""Where a caller's turn begins and ends. Pure.

A detector reports speech late, and stops early within a sentence. So a turn begins a little before the
speech that opened it, and is over once nobody has spoken for a while; speech before that goes on with it.
Times are on the call's audio clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from voice_agents.core.audio import FRAME_MS
from voice_agents.core.talk import SpeechStarted, SpeechStopped

_RECENT_MS = 1000
VOICING = tuple[bool, int] | None
"""What the detector says of a frame: speaking or not, and how long before the frame's end that was."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """A turn is over ``end_ms`` after its last speech, and at ``most_ms`` at the latest. ``before_ms`` of
    sound before the first speech belongs to it, for soft beginnings."""

    end_ms: int = 600
    before_ms: int = 240
    most_ms: int = 15_000


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """Sound so far, with what came before the speech."""

    sound: bytes


@dataclass(frozen=True, slots=True)
class TurnSound:
    """The next frame of the turn."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class TurnOver:
    """Nobody speaks any more; speech lasted from ``at_ms`` to ``until_ms``."""

    at_ms: int
    until_ms: int


TurnStep = TurnBegan | TurnSound | TurnOver | SpeechStarted | SpeechStopped


class Turns:
    """One caller's turns."""

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._recent = deque[bytes](maxlen=_RECENT_MS // FRAME_MS)
        self._speaking = self._open = False
        self._began = self._until = 0

    def feed(self, frame: bytes, at_ms: int, voicing: VOICING) -> list[TurnStep]:
        """What this frame, which began at ``at_ms``, makes of the turn."""
        steps: list[TurnStep] = []
        end, was_open = at_ms + FRAME_MS, self._open
        if not was_open:
            self._recent.append(frame)
        if voicing is not None:
            self._speaking = voicing[0]
            when = max(0, end - voicing[1])
            self._until = when
            steps.append(SpeechStarted(when) if self._speaking else SpeechStopped(when))
        if was_open:
            steps.append(TurnSound(frame))
        elif self._speaking:
            steps.append(self._begin(at_ms if voicing is None else self._until, end))
        if self._open and self._over(end):
            steps.append(TurnOver(self._began, end if self._speaking else self._until))
            self._open = False
        return steps

    def _begin(self, when: int, end: int) -> TurnBegan:
        self._open, self._began = True, when
        frames = (end - when + self._limits.before_ms) // FRAME_MS
        sound = b"".join(list(self._recent)[-frames:])
        self._recent.clear()
        return TurnBegan(sound)

    def _over(self, end: int) -> bool:
        quiet = 0 if self._speaking else end - self._until
        return quiet >= self._limits.end_ms or end - self._began >= self._limits.most_ms
