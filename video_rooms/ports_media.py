"""What the bridge between the switch's sound and rooms needs on its two sides.

The switch's side is what any media port of the house offers, as far as it is needed; gateway hands it in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from video_rooms.core.leg import Join

# ---------------------------------------------------------------- the switch


class SwitchLeg(Protocol):
    """A telephone's channel: linear sound, 16 kHz, 20 ms frames. Nothing here waits. Silence is sent while
    nothing is played."""

    @property
    def queued_ms(self) -> int:
        """What was played and not heard yet."""
        ...

    def answer(self) -> None: ...

    def play(self, sound: bytes) -> bool:
        """False where it does not fit, or the channel is no more."""
        ...

    def mark(self, name: str) -> None:
        """``SwitchEar.mark`` once what was played before has been heard, or was dropped."""
        ...

    def on_beat(self, do: Callable[[], None]) -> None:
        """Have this called every 20 ms, right before the switch is given its next frame."""
        ...

    def hang_up(self) -> None:
        """``SwitchEar.gone`` follows."""
        ...


class SwitchEar(Protocol):
    """Who listens to a telephone. Must return at once."""

    def arrived(self, leg: SwitchLeg) -> None: ...

    def audio(self, frame: bytes) -> None: ...

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None: ...


class SwitchPort(Protocol):
    """Where the switch brings telephones' sound."""

    def dial_string(self, token: str) -> str:
        """What Dial() is given so that the switch comes with this token."""
        ...

    def expect(self, token: str, ear: SwitchEar, within_s: float) -> None:
        """Let one channel in with this token, once. ``ear.gone("never_came")`` if it does not come."""
        ...

    def forget(self, token: str) -> None:
        """The token is worth nothing any more; nobody is told."""
        ...


# ---------------------------------------------------------------- the room


class NotAdmitted(Exception):
    """A room was not entered. ``why`` as in ``JoinFailed``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class StayEar(Protocol):
    """Who hears of a stay in a room, on the loop's thread. Must return at once."""

    def put_out(self, why: str) -> None:
        """It is over, unasked; ``why`` as in ``Left``. Once."""
        ...

    def track_muted(self, on: bool) -> None:
        """The media server shows our sound as muted, or not any more, whoever did it."""
        ...

    def crowd(self) -> None:
        """Others came or went, or the recording started or stopped."""
        ...

    def voices(self) -> None:
        """Other people's published sound, or our right to hear it, has changed."""
        ...


class RoomStay(Protocol):
    """One participant in a room, who publishes sound. Nothing here waits but ``leave``."""

    @property
    def room(self) -> str:
        """The room's name at the media server, and the server's address."""
        ...

    @property
    def identity(self) -> str: ...

    @property
    def others(self) -> int:
        """How many else are there; recorders do not count."""
        ...

    @property
    def recording(self) -> bool: ...

    @property
    def may_hear(self) -> bool:
        """Whether it has the right to."""
        ...

    @property
    def connected(self) -> bool:
        """False while the way to the media server is broken and may yet come back."""
        ...

    @property
    def published(self) -> Mapping[str, str]:
        """The tracks of sound that others have published, and whose they are."""
        ...

    def fetch(self, track: str) -> None:
        """Have the media server send this track. What is not there is left as it is."""
        ...

    def hear(self, track: str, push: Callable[[bytes], None] | None) -> None:
        """Have each 10 ms of a track that is fetched given to ``push``, on a thread of the library's; None:
        not any more."""
        ...

    def drop(self, track: str) -> None:
        """Neither hear nor fetch it any more."""
        ...

    def say(self, frame: bytes) -> None:
        """Publish a frame. Where the room is behind, it is left out."""
        ...

    def mute(self, on: bool) -> None:
        """Show our sound as muted, and send none; or the reverse."""
        ...

    def show(self, attributes: Mapping[str, str]) -> None:
        """Change these attributes, in the order of the calls. What the server refuses is logged."""
        ...

    async def leave(self) -> None:
        """Out of the room, and everything freed. Never raises; bounded in time."""
        ...


class RoomDoor(Protocol):
    """How rooms are entered."""

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> RoomStay:
        """Be in the room, with our sound published. Raises ``NotAdmitted``. Must not be cancelled: whoever
        does not want it any more waits, and leaves."""
        ...

    async def close(self) -> None:
        """Leave whatever is still entered; nobody enters any more."""
        ...
