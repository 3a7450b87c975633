"""One leg between its channel in the switch and a room: what is asked, what happened, what is done about it.

Pure. Inputs are orders, what the switch tells, and what the media server tells of one stay in a room; stays
are numbered, so that what comes late of a stay that is over changes nothing. Whatever the order of things,
each ``Join`` is answered once (``Joined``, ``JoinFailed``, or ``Left("asked")`` where it was taken back
before it came to anything), each ``Joined`` is followed by one ``Left`` unless the channel ends first, and
``Gone`` is the last fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from video_rooms.core.leg import (
    Answer,
    Describe,
    Digit,
    Gone,
    HangUp,
    Join,
    Joined,
    JoinFailed,
    Leave,
    Left,
    LegFact,
    LegOrder,
    Mute,
    Others,
    RoomMuted,
)
from video_rooms.core.leg import Arrived as ArrivedFact

# ---------------------------------------------------------------- what happens


@dataclass(frozen=True, slots=True)
class Came:
    """The switch brought the channel."""


@dataclass(frozen=True, slots=True)
class Pressed:
    digit: str


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """``why`` as in ``Gone``."""

    why: str


@dataclass(frozen=True, slots=True)
class Entered:
    """A stay began: the participant is in the room and publishes."""

    stay: int
    others: int
    recording: bool


@dataclass(frozen=True, slots=True)
class NotLetIn:
    """A stay will not be. ``why`` as in ``JoinFailed``."""

    stay: int
    why: str


@dataclass(frozen=True, slots=True)
class PutOut:
    """A stay is over, unasked. ``why`` as in ``Left``."""

    stay: int
    why: str


@dataclass(frozen=True, slots=True)
class TrackMuted:
    """The media server shows the participant's sound as muted, or not."""

    stay: int
    on: bool


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who else is there."""

    stay: int
    others: int
    recording: bool


Happening = Came | Pressed | ChannelGone | Entered | NotLetIn | PutOut | TrackMuted | Crowd

# ---------------------------------------------------------------- what is to be done


@dataclass(frozen=True, slots=True)
class Tell:
    fact: LegFact


@dataclass(frozen=True, slots=True)
class LetUp:
    """Answer the channel."""


@dataclass(frozen=True, slots=True)
class EndChannel:
    """Hang the channel up; where it has not come, it must not come any more."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Begin a stay. ``Entered`` or ``NotLetIn`` follows."""

    stay: int
    join: Join
    muted: bool


@dataclass(frozen=True, slots=True)
class Exit:
    """End a stay, or the attempt at one, at once."""

    stay: int


@dataclass(frozen=True, slots=True)
class SetMute:
    """Show the sound as muted in the room, and send none; or the reverse."""

    stay: int
    on: bool


@dataclass(frozen=True, slots=True)
class Show:
    stay: int
    attributes: Mapping[str, str]


Effect = Tell | LetUp | EndChannel | Enter | Exit | SetMute | Show

# ---------------------------------------------------------------- the machine


class Channel(Enum):
    EXPECTED = auto()
    HERE = auto()
    ENDING = auto()
    """Here, and told to end."""
    GONE = auto()


class Where(Enum):
    OUTSIDE = auto()
    ENTERING = auto()
    INSIDE = auto()


@dataclass(frozen=True, slots=True)
class Carriage:
    """``muted``: the telephone's own wish; ``room_muted``: a host's. ``stay``: the newest stay's number."""

    channel: Channel = Channel.EXPECTED
    where: Where = Where.OUTSIDE
    stay: int = 0
    answered: bool = False
    muted: bool = False
    room_muted: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    crowd: tuple[int, bool] | None = None

    @property
    def hears_room(self) -> bool:
        """Whether what the telephone says may reach the room."""
        return self.where is Where.INSIDE and not self.muted and not self.room_muted


Step = tuple[Carriage, tuple[Effect, ...]]


def obey(now: Carriage, order: LegOrder) -> Step:
    """An order came. Sounds and music are no business of this machine: they change nothing."""
    if now.channel in (Channel.ENDING, Channel.GONE):
        return now, ()
    match order:
        case Answer():
            up = (LetUp(),) if now.channel is Channel.HERE and not now.answered else ()
            return replace(now, answered=True), up
        case Join():
            return _join(now, order)
        case Leave():
            return _leave(now)
        case Mute(on):
            return _mute(now, on)
        case Describe(attributes):
            shown = replace(now, attributes={**now.attributes, **attributes})
            return shown, ((Show(now.stay, attributes),) if now.where is Where.INSIDE else ())
        case HangUp():
            return _hang_up(now)
    return now, ()


def hear(now: Carriage, what: Happening) -> Step:
    """Something happened."""
    if now.channel is Channel.GONE:
        return now, ()
    match what:
        case Came():
            return _came(now)
        case Pressed(digit):
            return now, ((Tell(Digit(digit)),) if now.channel is Channel.HERE else ())
        case ChannelGone(why):
            gone, effects = _outside(now)
            return replace(gone, channel=Channel.GONE), (*effects, Tell(Gone(why)))
        case Entered() | NotLetIn() | PutOut() | TrackMuted() | Crowd():
            return _of_stay(now, what) if what.stay == now.stay else (now, ())


def _came(now: Carriage) -> Step:
    if now.channel is not Channel.EXPECTED:
        return now, ()
    up = (LetUp(),) if now.answered else ()
    return replace(now, channel=Channel.HERE), (Tell(ArrivedFact()), *up)


def _join(now: Carriage, order: Join) -> Step:
    left, effects = _leave(now)
    stay = left.stay + 1
    entering = replace(left, where=Where.ENTERING, stay=stay, room_muted=False, crowd=None)
    return entering, (*effects, Enter(stay, order, now.muted))


def _leave(now: Carriage) -> Step:
    left, effects = _outside(now)
    return left, ((*effects, Tell(Left("asked"))) if effects else ())


def _outside(now: Carriage) -> Step:
    """Out of whatever room there is, untold."""
    if now.where is Where.OUTSIDE:
        return now, ()
    return replace(now, where=Where.OUTSIDE, room_muted=False), (Exit(now.stay),)


def _mute(now: Carriage, on: bool) -> Step:
    """To unmute takes a host's mute back, too: the right to speak was not taken."""
    muted = replace(now, muted=on)
    if now.where is not Where.INSIDE:
        return muted, ()
    if on or not now.room_muted:
        return muted, (SetMute(now.stay, on),)
    return replace(muted, room_muted=False), (SetMute(now.stay, False), Tell(RoomMuted(False)))


def _hang_up(now: Carriage) -> Step:
    ended, effects = _outside(now)
    if now.channel is Channel.EXPECTED:
        return replace(ended, channel=Channel.GONE), (*effects, EndChannel(), Tell(Gone("hangup")))
    return replace(ended, channel=Channel.ENDING), (*effects, EndChannel())


def _of_stay(now: Carriage, what: Entered | NotLetIn | PutOut | TrackMuted | Crowd) -> Step:
    inside = now.where is Where.INSIDE
    match what:
        case Entered(stay, others, recording) if now.where is Where.ENTERING:
            entered = replace(now, where=Where.INSIDE, crowd=(others, recording))
            told = (Tell(Joined(others)), Tell(Others(others, recording)))
            return entered, (SetMute(stay, now.muted), Show(stay, now.attributes), *told)
        case NotLetIn(_, why) if now.where is Where.ENTERING:
            return replace(now, where=Where.OUTSIDE), (Tell(JoinFailed(why)),)
        case PutOut(stay, why) if inside:
            out = replace(now, where=Where.OUTSIDE, room_muted=False)
            return out, (Exit(stay), Tell(Left(why)))
        case PutOut(stay) if now.where is Where.ENTERING:
            return replace(now, where=Where.OUTSIDE), (Exit(stay), Tell(JoinFailed("refused")))
        case TrackMuted(stay, on) if inside:
            return _track_muted(now, stay, on)
        case Crowd(_, others, recording) if inside and (others, recording) != now.crowd:
            return replace(now, crowd=(others, recording)), (Tell(Others(others, recording)),)
    return now, ()


def _track_muted(now: Carriage, stay: int, on: bool) -> Step:
    """What the telephone itself wants muted stays so, whatever a host takes back."""
    if on == now.room_muted or (on and now.muted):
        return now, ((SetMute(stay, True),) if now.muted and not on else ())
    told = replace(now, room_muted=on)
    again = (SetMute(stay, True),) if now.muted else ()
    return told, (*again, Tell(RoomMuted(on)))
