"""What the voice room needs of the switch for a call's sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from voice_agents.core.audio import Codec


class MediaLeg(Protocol):
    """An agent's channel in the switch. Nothing here waits; everything happens on the loop's thread.

    Sound is queued here, not in the switch, which holds three frames at most; while nothing is queued,
    silence is sent. ``heard_ms`` counts what was played of queued sound (never silence) and was not dropped.
    """

    @property
    def codec(self) -> Codec: ...

    @property
    def queued_ms(self) -> int: ...

    @property
    def heard_ms(self) -> int: ...

    @property
    def fullness(self) -> float:
        """How full the queue is: from 0.8 on its sender should be told to wait, at 1.0 nothing fits."""
        ...

    def answer(self) -> None:
        """Let the channel go up; until then the caller hears ringing. A driver that cannot wait is up."""
        ...

    def play(self, sound: bytes) -> bool:
        """Queue sound of any length in the leg's codec; a last part of a frame is padded once it is due.
        False where it does not fit, or the channel is no more: nothing of it is taken."""
        ...

    def mark(self, name: str) -> None:
        """Have ``MediaEar.mark`` called once what was queued before has been heard, or was dropped."""
        ...

    def flush(self) -> int:
        """Drop what has not been heard, marks included (told as not heard), and go on if paused. Returns
        the milliseconds dropped."""
        ...

    def pause(self) -> None:
        """Hold the queue; silence is sent."""
        ...

    def resume(self) -> None: ...

    def on_beat(self, do: Callable[[], None]) -> None:
        """Have this called every 20 ms, right before the switch is given its next frame: what is played from
        within is heard with the least delay."""
        ...

    def hang_up(self) -> None:
        """End the channel. ``MediaEar.gone`` follows."""
        ...


class MediaEar(Protocol):
    """Who listens to a media leg. Must return at once."""

    def arrived(self, leg: MediaLeg) -> None: ...

    def audio(self, frame: bytes) -> None: ...

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None:
        """The channel is no more: ``hangup``, ``stalled``, ``protocol``, ``never_came``."""
        ...


class MediaPort(Protocol):
    """Where the switch brings the sound of agents' calls."""

    def dial_string(self, token: str, codec: Codec) -> str:
        """What Dial() is given so that the switch comes with this token."""
        ...

    def expect(self, token: str, codec: Codec, ear: MediaEar, within_s: float) -> None:
        """Let one channel in with this token, once. ``ear.gone("never_came")`` if it does not."""
        ...

    def forget(self, token: str) -> None:
        """The token is worth nothing any more. Unknown or used: nothing happens."""
        ...
