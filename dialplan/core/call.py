"""A call and its two legs, as immutable values.

Times are seconds since the Unix epoch, taken from the shell's clock; they are data, never read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from dialplan.core.ends import AgentSocket as AgentSocket
from dialplan.core.ends import Announcement as Announcement
from dialplan.core.ends import Endpoint as Endpoint
from dialplan.core.ends import HoldMusic as HoldMusic
from dialplan.core.ends import Phone as Phone
from dialplan.core.ends import Trunk as Trunk
from dialplan.core.ends import VideoRoom as VideoRoom
from dialplan.core.ends import is_virtual as is_virtual
from dialplan.core.evolve import replace
from telephony.causes import CallStatus, Termination
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

ROOM: Final = "room:"
"""What a call's number begins with where it is a video room's id."""


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class Role(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"


class Rank(IntEnum):
    """How far a leg has come. Facts only ever lift it; ENDED is sticky."""

    NEW = 0
    DIALING = 1
    RINGING = 2
    UP = 3
    ENDED = 4


@dataclass(frozen=True, slots=True)
class Connect:
    """Route: join the caller with this endpoint, showing it ``cli``.

    ``caller_prompt`` is a sound that the caller hears before the far end is dialled, ``callee_prompt`` one
    that the far end hears once it has answered, before it is joined; file names without ending, empty for
    none. ``warn_s``: both hear a tone this many seconds before the maximum duration; 0 for none.
    ``ring_s``: how long the far end is rung, in seconds; 0 for as long as the call's terms say.
    """

    endpoint: Endpoint
    cli: E164 | None = None
    caller_prompt: str = ""
    callee_prompt: str = ""
    warn_s: int = 0
    ring_s: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """Route: refuse the caller with this Q.850 cause; ``reason`` is the termination's token."""

    cause: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Detour: play ``prompt`` (a sound's file name without ending) and collect up to ``digits`` digits, ended
    by ``#`` or by ``timeout_s`` seconds without another; then the switch asks again, with what was typed.

    The caller's channel is answered for it. For the world the call is still being set up.
    """

    prompt: str
    digits: int
    timeout_s: int = 8


@dataclass(frozen=True, slots=True)
class Later:
    """Detour: the caller hears ringing for ``wait_s`` seconds, then the switch asks again."""

    wait_s: int = 1


Detour = Gather | Later
"""An answer that is not the last: the switch asks again after it."""

Route = Connect | Reject | Detour

MOST_DETOURS = 12
"""How often one call may be sent on a detour; then it is refused."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What was asked for: fixed when the call is made, or by the answer after a detour. Durations in seconds.

    ``session_id`` is the masking session that the call belongs to; ``seat`` is who calls in it (0 is party
    A, 1 and above the others, -1 a visitor) and ``to_seat`` who is called. The parties of a ``private`` call
    do not know each other's number, and nobody is shown it who did not ask for whole numbers.
    ``agent_version`` is the version of the agent's registration that the call began with.
    """

    tenant: TenantId
    direction: Direction
    to_number: str
    from_number: str
    ring_timeout_s: int = 60
    max_duration_s: int = 3600
    record: bool = False
    agent_id: str | None = None
    webhook_url: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    api_key_id: str | None = None
    session_id: str | None = None
    seat: int = -1
    to_seat: int = -1
    private: bool = False
    agent_version: int | None = None

    def __repr__(self) -> str:
        return (
            f"Terms({self.tenant}, {self.direction}, ring={self.ring_timeout_s}, max={self.max_duration_s})"
        )


class Ender(StrEnum):
    """Who ended a call."""

    CALLER = "caller"
    CALLEE = "callee"
    API = "api"
    GATEWAY = "gateway"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's side. ``channel`` is known at once where we originate, else from DialBegin.

    ``line`` is the trunk or phone the caller's leg goes over, by its configured name. ``refused_why`` is what
    kept it from being answered, where that is known before its end.
    """

    id: LegId
    role: Role
    rank: Rank = Rank.NEW
    channel: ChannelId | None = None
    dialed_at: float | None = None
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ending_at: float | None = None
    cause: int | None = None
    sip: int | None = None
    refused_at: float | None = None
    refused_why: str | None = None
    lost: str | None = None
    line: str = ""

    @property
    def live(self) -> bool:
        return self.rank is not Rank.ENDED

    @property
    def ending(self) -> bool:
        return self.ending_at is not None


@dataclass(frozen=True, slots=True)
class Former:
    """A callee whom the call has left: whom its leg reached, ``why`` it was left, and since when.

    ``why`` is empty where the leg's own end tells. ``parted_at`` is None until the switch has shown that the
    caller is no longer with it.
    """

    leg: Leg
    endpoint: Endpoint
    why: str
    parted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """The latest order to take the caller to somebody else, and its ``outcome`` once that is known.

    ``number`` counts the call's orders of this kind, from 1. ``leg`` is the new callee's. Until the switch
    comes to ask where to (``made``), the caller may be where it was: ``left`` and ``joined_at`` are the route
    and the time of that, to go back to. ``outcome`` is ``completed``, ``busy``, ``no_answer``, ``declined``,
    ``invalid`` (it cannot be reached at all), ``agent_unavailable``, ``timeout`` (the switch did not do it)
    or ``ended`` (the call was over before).
    """

    number: int
    why: str
    at: float
    leg: LegId
    left: Connect
    joined_at: float
    made: bool = False
    outcome: str | None = None


class TapeState(StrEnum):
    """A recording's life: ordered, running, paused, stopped (file being finished), filed for good."""

    WAITING = "waiting"
    RECORDING = "recording"
    PAUSED = "paused"
    STOPPED = "stopped"
    FILED = "filed"

    @property
    def running(self) -> bool:
        return self in (TapeState.WAITING, TapeState.RECORDING, TapeState.PAUSED)


@dataclass(frozen=True, slots=True)
class Tape:
    """One recording of a call. ``id`` names the file; the state is what the switch confirmed."""

    id: str
    state: TapeState
    started_at: float | None = None
    stopped_at: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One conversation attempt: its terms, route, two legs, and what has been decided about it.

    ``detours`` counts those the caller was sent on; ``detour_at`` is when the present one began. ``lost_at``
    is when an answer was given up, so that the dialplan goes on by itself. ``end_at`` is when the call shall
    be ended, and ``end_why`` why, where that is arranged beforehand. ``former`` are the callees that the call
    has left, in order; ``move`` is the latest order to take the caller elsewhere.
    """

    id: CallId
    terms: Terms
    created_at: float
    caller: Leg
    callee: Leg
    route: Route | None = None
    status: CallStatus = CallStatus.INITIATING
    sequence: int = 0
    asked: bool = False
    connected_at: float | None = None
    cancel_asked: bool = False
    ring_expired: bool = False
    ended_by: Ender | None = None
    ended_why: str | None = None
    ending_at: float | None = None
    answered_at: float | None = None
    talking_at: float | None = None
    ended_at: float | None = None
    termination: Termination | None = None
    late_facts: int = 0
    tapes: tuple[Tape, ...] = field(default=())
    detours: int = 0
    detour_at: float | None = None
    lost_at: float | None = None
    end_at: float | None = None
    end_why: str | None = None
    former: tuple[Former, ...] = field(default=())
    move: Move | None = None

    @property
    def closed(self) -> bool:
        return self.ended_at is not None

    @property
    def outbound(self) -> bool:
        return self.terms.direction is Direction.OUTBOUND

    @property
    def to_phone(self) -> bool:
        """Whether a phone of ours is rung first, not a number."""
        return self.outbound and self.terms.to_number.startswith("phone:")

    @property
    def virtual_callee(self) -> bool:
        return isinstance(self.route, Connect) and is_virtual(self.route.endpoint)

    @property
    def subject(self) -> Leg:
        """The leg whose answering means that the call was connected: ``to``'s side.

        A caller who was sent on a detour may have been answered for it, which is no connection.
        """
        if self.detours and not self.outbound:
            return self.callee
        if self.outbound or not isinstance(self.route, Connect) or self.virtual_callee:
            return self.caller
        return self.callee

    @property
    def room_id(self) -> str | None:
        """The video room that the call leads, or led, to; None where that is none, or not known yet."""
        route, to = self.route, self.terms.to_number
        if to.startswith(ROOM):
            return to.removeprefix(ROOM)
        end = route.endpoint if isinstance(route, Connect) else None
        return end.room_id or None if isinstance(end, VideoRoom) else None

    @property
    def on_detour(self) -> bool:
        """Whether the switch is to ask again."""
        return self.detour_at is not None

    @property
    def moves(self) -> int:
        """How often its caller was ordered elsewhere."""
        return 0 if self.move is None else self.move.number

    @property
    def moving(self) -> bool:
        """Whether the switch was told to take the caller elsewhere, and has not come to ask where to."""
        return self.move is not None and not self.move.made and self.move.outcome is None

    @property
    def asks_on(self) -> bool:
        """Whether the switch asks again where its far end does not answer, instead of ending the call."""
        route = self.route
        if not isinstance(route, Connect) or is_virtual(route.endpoint):
            return False
        return isinstance(route.endpoint, AgentSocket) or bool(self.former)

    @property
    def returned(self) -> bool:
        """Whether the far end was dialled, is not up and never was, and the switch is to ask again."""
        tried = self.connected_at is not None and self.callee.answered_at is None
        return tried and self.caller.live and self.asks_on

    @property
    def ring_s(self) -> int:
        """How long the far end is rung, in seconds."""
        route = self.route
        own = route.ring_s if isinstance(route, Connect) else 0
        return own or self.terms.ring_timeout_s

    @property
    def tape(self) -> Tape | None:
        """The recording that runs now, if any."""
        return self.tapes[-1] if self.tapes and self.tapes[-1].state.running else None

    @property
    def intent(self) -> tuple[object, ...]:
        """What we have decided about its end; only this tells a cancel from a refusal afterwards."""
        ours = self.ended_by in (Ender.API, Ender.GATEWAY)
        why = self.ended_why if ours else None
        return self.cancel_asked, self.ring_expired, why, self.end_at, self.lost_at, self.move, self.former

    @property
    def settled(self) -> bool:
        """Closed, and every recording filed: nothing is left to wait for."""
        return self.closed and all(tape.state is TapeState.FILED for tape in self.tapes)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Every leg there is or was, the caller's first."""
        return (self.caller, self.callee, *(former.leg for former in self.former))

    def leg_at(self, channel: ChannelId | None, role: Role) -> Leg:
        """The leg on this channel: one that was left, or the one that has this role now."""
        known = (old.leg for old in self.former if channel is not None and old.leg.channel == channel)
        return next(known, self.leg(role))

    def leg(self, role: Role) -> Leg:
        return self.caller if role is Role.CALLER else self.callee

    def with_leg(self, leg: Leg) -> Call:
        return replace(self, caller=leg) if leg.role is Role.CALLER else replace(self, callee=leg)

    def with_former(self, at: int, former: Former) -> Call:
        """The call with this in the place ``at`` of those it has left."""
        return replace(self, former=(*self.former[:at], former, *self.former[at + 1 :]))
