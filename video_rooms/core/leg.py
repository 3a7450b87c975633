"""The words between whoever decides about a telephone in a room and whatever carries its sound.

A carrier brings a leg's channel in the switch together with a participant of the room. Orders go to it,
facts come back; neither waits, and no fact is told from within an order. A leg begins outside every room:
prompts, keys and hold music work before ``Join``. ``Others`` follows ``Joined`` at once; nothing follows
``Gone``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# ---------------------------------------------------------------- orders


@dataclass(frozen=True, slots=True)
class Answer:
    """Let the channel go up. Where it is up already, nothing happens."""


@dataclass(frozen=True, slots=True)
class PlaySounds:
    """Play these files (WAV, one channel, 16-bit, any rate) to the telephone alone, one after another, over
    what else it hears. ``id`` comes back in ``SoundsDone``. What was playing before is cut off."""

    id: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class StopSounds:
    """Cut off what is being played. ``SoundsDone(cut=True)`` follows if there was something."""


@dataclass(frozen=True, slots=True)
class HoldMusic:
    """Music for the telephone alone, until turned off; prompts are heard over it."""

    on: bool


@dataclass(frozen=True, slots=True, repr=False)
class Join:
    """Enter the room as one participant with this token; ``Joined`` or ``JoinFailed`` follows. A room that
    the leg is in, or on its way into, is left first: ``Left("asked")``."""

    url: str
    token: str
    identity: str

    def __repr__(self) -> str:
        return f"Join({self.identity})"


@dataclass(frozen=True, slots=True)
class Mute:
    """Whether the room is kept from hearing the telephone; holds for later rooms, too. ``Mute(False)`` takes
    back a host's mute as well."""

    on: bool


@dataclass(frozen=True, slots=True)
class Describe:
    """Show these attributes of the participant in the room, and in later ones; others stay as they are. The
    token must allow its holder to change them."""

    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the room, or give up a ``Join``; the channel stays. ``Left`` follows, if there was something."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End both. ``Gone`` follows."""


LegOrder = Answer | PlaySounds | StopSounds | HoldMusic | Join | Mute | Describe | Leave | HangUp

# ---------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class Arrived:
    """The switch brought the leg's sound."""


@dataclass(frozen=True, slots=True)
class Digit:
    """A key, ``0-9*#A-D``."""

    digit: str


@dataclass(frozen=True, slots=True)
class SoundsDone:
    """Everything of ``PlaySounds(id)`` has been heard, or was cut off. A channel's end tells none."""

    id: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """In the room, sound goes both ways. ``others`` of them are there already (recorders not counted)."""

    others: int


@dataclass(frozen=True, slots=True)
class JoinFailed:
    """``why``: ``full``, ``refused``, ``no_room``, ``unreachable``, ``timeout``."""

    why: str


@dataclass(frozen=True, slots=True)
class Left:
    """In the room no longer. ``why``: ``asked``, ``removed``, ``room_ended``, ``replaced``, ``lost``."""

    why: str


@dataclass(frozen=True, slots=True)
class RoomMuted:
    """A host has muted the participant at the media server, or that was taken back."""

    on: bool


@dataclass(frozen=True, slots=True)
class Others:
    """So many others are in the room now; ``recording`` says whether the room is being recorded."""

    count: int
    recording: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """The channel is no more: ``hangup``, ``stalled``, ``protocol``, ``never_came``, ``carrier_lost``."""

    why: str


LegFact = Arrived | Digit | SoundsDone | Joined | JoinFailed | Left | RoomMuted | Others | Gone
