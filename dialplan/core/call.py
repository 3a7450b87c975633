"""A call and its two legs, as immutable values.

Times are seconds since the Unix epoch, taken from the shell's clock; they are data, never read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from dialplan.core.evolve import replace
from telephony.causes import CallStatus, Termination
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164


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
class Trunk:
    """A person reached over a carrier connection."""

    number: E164
    trunk: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A softphone registered at the switch, by its configured name."""

    name: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """A prompt played to the caller; ``sound`` is a file name without ending, made by us."""

    sound: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class HoldMusic:
    """Music until somebody hangs up."""


Endpoint = Trunk | Phone | Announcement | HoldMusic


_VIRTUAL = (Announcement, HoldMusic)


def is_virtual(endpoint: Endpoint) -> bool:
    """Whether the far end is played by the caller's own channel and has none of its own."""
    return isinstance(endpoint, _VIRTUAL)


@dataclass(frozen=True, slots=True)
class Connect:
    """Route: join the caller with this endpoint, showing it ``cli``.

    ``caller_prompt`` is a sound that the caller hears before the far end is dialled, ``callee_prompt`` one
    that the far end hears once it has answered, before it is joined; file names without ending, empty for
    none. ``warn_s``: both hear a tone this many seconds before the maximum duration; 0 for none.
    """

    endpoint: Endpoint
    cli: E164 | None = None
    caller_prompt: str = ""
    callee_prompt: str = ""
    warn_s: int = 0


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

    ``line`` is the trunk or phone the caller's leg goes over, by its configured name.
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
    be ended, and ``end_why`` why, where that is arranged beforehand.
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
    def on_detour(self) -> bool:
        """Whether the switch is to ask again."""
        return self.detour_at is not None

    @property
    def tape(self) -> Tape | None:
        """The recording that runs now, if any."""
        return self.tapes[-1] if self.tapes and self.tapes[-1].state.running else None

    @property
    def intent(self) -> tuple[object, ...]:
        """What we have decided about its end; only this tells a cancel from a refusal afterwards."""
        ours = self.ended_by in (Ender.API, Ender.GATEWAY)
        why = self.ended_why if ours else None
        return self.cancel_asked, self.ring_expired, why, self.end_at, self.lost_at

    @property
    def settled(self) -> bool:
        """Closed, and every recording filed: nothing is left to wait for."""
        return self.closed and all(tape.state is TapeState.FILED for tape in self.tapes)

    def leg(self, role: Role) -> Leg:
        return self.caller if role is Role.CALLER else self.callee

    def with_leg(self, leg: Leg) -> Call:
        return replace(self, caller=leg) if leg.role is Role.CALLER else replace(self, callee=leg)
