"""Orders: what the machine wants done outside, in the imperative. Stored first, then sent once."""

from __future__ import annotations

from dataclasses import dataclass

from dialplan.core.call import Endpoint, Role, Route
from telephony.ids import CallId, ChannelId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class Originate:
    """Ring the first leg; its channel's Uniqueid will be ``channel``. ``backstop_s``: the switch gives up."""

    channel: ChannelId
    endpoint: Endpoint
    cli: E164
    backstop_s: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer Asterisk's routing question. ``tape_id``: record from here, into that file. ``caller`` is the
    number the call came with, shown where the route names no CLI of ours; empty when withheld.

    ``backstop_max_s`` is when the switch ends all of it, or the detour, by itself. Where the parties are to
    be warned, ``limit_s`` is how long the switch lets them talk, and ``warn_s`` how long before that they
    hear the tone; else both are 0. ``again``: where the far end does not answer, the switch asks again.
    """

    call_id: CallId
    route: Route
    backstop_ring_s: int
    backstop_max_s: int
    tape_id: str = ""
    caller: str = ""
    limit_s: int = 0
    warn_s: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Hangup:
    """End this leg's channel with a Q.850 cause."""

    role: Role
    channel: ChannelId
    cause: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """Take the caller's channel away from whom it is with; the switch then asks where it shall go."""

    channel: ChannelId


@dataclass(frozen=True, slots=True)
class TurnTape:
    """Start, stop, mute or unmute a recording on a channel."""

    verb: str
    channel: ChannelId
    tape_id: str


@dataclass(frozen=True, slots=True)
class FileTape:
    """The recording has stopped: finish its file, then report TapeFiled."""

    tape_id: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the world (timeline and webhooks); ``sequence`` counts from 1 within the call."""

    sequence: int
    type: str
    at: float
    detail: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CloseCall:
    """The call is over: write its one CDR."""


Order = Originate | Reply | Hangup | Redirect | TurnTape | FileTape | Publish | CloseCall
