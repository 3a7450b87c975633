"""Facts: what happened outside, in the past tense. The machine's only input.

Each carries just what the machine needs; ``role`` says which leg, and ``channel``, where it is given, whether
it is the one that has this role now, or one that the call has left; for all else it is no part of the fact.
Facts may come late, twice, or in
any order: AMI's OriginateResponse bypasses the serializer that orders a channel's other events.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dialplan.core.call import Connect, Ender, Role, Route, Terms
from telephony.ids import ChannelId


@dataclass(frozen=True, slots=True)
class Dialed:
    """The leg's channel exists and its INVITE is on the way (DialBegin)."""

    role: Role
    channel: ChannelId | None = None


@dataclass(frozen=True, slots=True)
class Rang:
    """The far end alerts (180, or progress with early media)."""

    role: Role
    channel: ChannelId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """The leg is up (Newstate Up)."""

    role: Role
    channel: ChannelId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The far end of this leg hung up or refused (HangupRequest): tells who ended the call, and how."""

    role: Role
    cause: int | None = None
    sip: int | None = None
    channel: ChannelId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class HungUp:
    """The leg's channel is gone. ``cause`` is Q.850, ``sip`` the final behind it, if any."""

    role: Role
    cause: int | None
    sip: int | None = None
    channel: ChannelId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class OriginateFailed:
    """OriginateResponse said Failure. A hint: the Hangup with the true cause may still be queued."""

    reason: str


@dataclass(frozen=True, slots=True)
class OrderFailed:
    """An order to this leg was certainly not carried out (link down, or the switch refused it)."""

    role: Role
    reason: str


@dataclass(frozen=True, slots=True)
class Vanished:
    """A look at the switch found the leg's channel gone. ``cause`` where a second source knew it."""

    role: Role
    why: str
    cause: int | None = None
    answered: bool = False
    channel: ChannelId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SeenLive:
    """A look at the switch found the leg's channel alive; ``up`` if it is answered."""

    role: Role
    up: bool
    channel: ChannelId | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """Asterisk asks where to take the caller."""


@dataclass(frozen=True, slots=True)
class Routed:
    """The caller is back, from a detour or from a far end that did not answer, and this is where to take it
    now, on these terms."""

    route: Route
    terms: Terms


@dataclass(frozen=True, slots=True)
class RoomEntered:
    """The caller is in this video room."""

    room_id: str


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The routing question was given up before its answer reached the switch: the dialplan's fallback
    joins the caller by what it knows itself, or tells the caller why and ends the call."""


@dataclass(frozen=True, slots=True)
class Reroute:
    """Somebody with the right to do so wants the caller taken from its callee to another; ``why`` is a
    token."""

    route: Connect
    why: str


@dataclass(frozen=True, slots=True)
class Unmoved:
    """The order to take the caller elsewhere was certainly not carried out."""

    reason: str


@dataclass(frozen=True, slots=True)
class HangupAsked:
    """Somebody with the right to do so wants the call ended, now or ``after_s`` seconds from now."""

    by: Ender
    why: str
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TapeAsked:
    """The app wants the recording turned: ``start``, ``stop``, ``pause`` or ``resume``."""

    verb: str


@dataclass(frozen=True, slots=True)
class TapeTurned:
    """The switch says that the recording ``started``, ``stopped``, was ``paused`` or ``resumed``."""

    turn: str


@dataclass(frozen=True, slots=True)
class TapeFiled:
    """The recorded file is finished (``ok``) or could not be made, and why."""

    tape_id: str
    ok: bool
    detail: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Nobody spoke until the call's next deadline."""


Fact = (
    Dialed
    | Rang
    | Answered
    | EndRequested
    | HungUp
    | OriginateFailed
    | OrderFailed
    | Vanished
    | SeenLive
    | Asked
    | Routed
    | RoomEntered
    | AnswerLost
    | Reroute
    | Unmoved
    | HangupAsked
    | TapeAsked
    | TapeTurned
    | TapeFiled
    | TimerFired
)
