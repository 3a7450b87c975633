"""One telephone's visit to a room, in values: its state, what happens to it, what is ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from video_rooms.core.leg import (
    Answer,
    Describe,
    HangUp,
    HoldMusic,
    Leave,
    LegFact,
    Mute,
    StopSounds,
)
from video_rooms.core.room import Presence
from video_rooms.core.words_spoken import Line


class Way(StrEnum):
    """Who called whom."""

    IN = "in"
    OUT = "out"


class Stage(StrEnum):
    """Where a visit stands. ``REFUSING``: a meeting number opened nothing, and the moment to say so has not
    come. ``LEAVING``: a farewell is being said. ``ENDING``: the hang-up has been ordered."""

    COMING = "coming"
    ASKING = "asking"
    JUDGING = "judging"
    REFUSING = "refusing"
    CONSENT = "consent"
    WAITING = "waiting"
    ENTERING = "entering"
    INSIDE = "inside"
    LEAVING = "leaving"
    ENDING = "ending"
    OVER = "over"


class Why(StrEnum):
    """Why a visit ended, where the telephone did not simply hang up. The words of the call's termination."""

    HANGUP = "hangup"
    REMOVED = "removed_from_room"
    ENDED = "room_ended"
    PIN = "room_pin_wrong"
    TRIES = "room_pin_tries"
    NOT_OPEN = "room_not_open"
    FULL = "room_full"
    DENIED = "room_denied"
    NOT_ADMITTED = "room_not_admitted"
    NOT_JOINED = "room_not_joined"
    UNAVAILABLE = "room_unavailable"
    LOST = "room_lost"
    LEG_LOST = "room_leg_lost"
    LONGEST = "max_duration"


Wait = Literal["", "lobby", "host"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The room that a visit leads to. ``wait``: what comes first, a host's word or a host's coming."""

    room_id: str
    wait: Wait = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """The state. Times are seconds of the shell's clock.

    ``until`` is the stage's own deadline, ``ends_at`` that of the whole visit, ``longest_s`` after its
    beginning. ``says`` names what is being said; ``notice``: that the room is recorded is still to be heard.
    ``listed``: the telephone is on the room's roster; ``was_inside``: it has been in the room. ``quiet``: it
    is an agent, to whom nothing is said and who presses no keys.
    """

    way: Way
    until: float
    longest_s: float
    stage: Stage = Stage.COMING
    ends_at: float | None = None
    consent: bool = True
    opening: Opening | None = None
    typed: str = field(default="", repr=False)
    typed_at: float = 0.0
    tries: int = 0
    refused: Why = Why.PIN
    says: str = ""
    spoken: int = 0
    noticing: bool = False
    notice: bool = False
    recording: bool = False
    others: int = 0
    star_at: float | None = None
    muted: bool = False
    hand: bool = False
    listed: bool = False
    was_inside: bool = False
    quiet: bool = False
    why: str = ""


# ---------------------------------------------------------------- what happens, besides a leg's facts


@dataclass(frozen=True, slots=True)
class Judged:
    """What a meeting number opens; nothing, and why."""

    opening: Opening | None
    why: Why = Why.PIN


@dataclass(frozen=True, slots=True)
class Admitted:
    """A host lets the telephone in that waits."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A host sends it away."""


@dataclass(frozen=True, slots=True)
class HostCame:
    """There is a host in the room."""


@dataclass(frozen=True, slots=True)
class Expelled:
    """A host puts out a telephone that is not in the room yet."""


@dataclass(frozen=True, slots=True)
class RoomOver:
    """The room has ended for all."""


@dataclass(frozen=True, slots=True)
class CallRang:
    """The telephone that is called rings."""


@dataclass(frozen=True, slots=True)
class CallOver:
    """The telephone's side of the call has ended; of one that did not answer, why: ``busy``, ``no_answer``,
    ``declined``, ``cancelled``, ``failed``."""

    why: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The next deadline is over."""


VisitFact = LegFact | Judged | Admitted | Denied | HostCame | Expelled | RoomOver | CallRang | CallOver | Tick

# ---------------------------------------------------------------- what is ordered, besides a leg's orders


@dataclass(frozen=True, slots=True)
class Say:
    """Say this, one after another; ``SoundsDone(id)`` follows. What was being said is cut off."""

    id: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, repr=False)
class AskPin:
    """Have this meeting number judged; ``Judged`` follows."""

    pin: str


@dataclass(frozen=True, slots=True)
class Enter:
    """Get a pass, and enter; ``Joined`` or ``JoinFailed`` follows."""


@dataclass(frozen=True, slots=True)
class ShowPerson:
    """The telephone's line on the room's roster, with what the visit now knows of it."""

    presence: Presence
    why: str = ""


@dataclass(frozen=True, slots=True)
class CameIn:
    """The call leads to a room, and its caller is in it."""


@dataclass(frozen=True, slots=True)
class TellFailed:
    """Tell the world that a telephone was called in vain."""

    why: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """End the call; this is why."""

    why: str


VisitOrder = (
    Answer
    | Describe
    | HangUp
    | HoldMusic
    | Leave
    | Mute
    | StopSounds
    | Say
    | AskPin
    | Enter
    | ShowPerson
    | CameIn
    | TellFailed
    | EndCall
)
