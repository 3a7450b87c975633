"""What this room needs from outside. Adapters fit structurally; ``dialplan.fakes`` ships one of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dialplan.core.call import ROOM, Call, Connect, Endpoint, Phone, VideoRoom
from dialplan.core.orders import Hangup, Originate, Redirect, TurnTape
from dialplan.core.record import CallEvent, Cdr
from dialplan.core.routing import Offered, RouteFacts
from telephony.ids import CallId, ChannelId, TenantId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """One row of the switch's list of channels. ``up`` when answered."""

    channel: ChannelId
    linked: ChannelId
    up: bool
    application: str


@dataclass(frozen=True, slots=True)
class Ending:
    """What a second source knows of a channel that ended while nobody listened. Times: epoch seconds.

    ``dialled``: whether it dialled somebody, as far as is known; a caller who is asked for digits is
    answered without. ``joined``: whether who was dialled answered. ``left``: it took its own call back, while
    who was dialled had not answered. ``cause`` (Q.850) is the dialled end's where that did not answer.
    """

    channel: ChannelId
    answered_at: float | None
    ended_at: float | None
    cause: int | None
    dialled: bool = True
    joined: bool = True
    left: bool = False


class Switch(Protocol):
    """The telephone switch, as the director uses it. ``play_digit`` plays one digit (``0-9*#A-D``) to the
    party on a channel.

    Each verb raises SwitchUnavailable (certainly not sent), SwitchRefused, or OutcomeUnknown.
    """

    @property
    def ready(self) -> bool: ...

    async def originate(self, order: Originate) -> None: ...

    async def hang_up(self, order: Hangup) -> None: ...

    async def redirect(self, order: Redirect) -> None: ...

    async def play_digit(self, channel: ChannelId, digit: str) -> None: ...

    async def turn_tape(self, order: TurnTape) -> None: ...

    async def live_channels(self) -> Sequence[LiveChannel]: ...


class CallStore(Protocol):
    """The durable truth about calls. Raises StorageUnavailable; when it returns, it is stored.

    ``append`` writes, in one transaction: the call's row and snapshot, its new events, the webhook
    deliveries these cause, and the CDR when there is one. Appending the same (call, sequence) twice
    changes nothing. A ``patient`` append may take some milliseconds longer, to share a transaction with
    others: nothing is waiting for it. ``open_calls`` gives every call that is not settled.
    """

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None: ...

    async def open_calls(self) -> Sequence[Call]: ...


class RouteBook(Protocol):
    """Knows where an inbound call goes.

    ``facts_for`` is asked when a call arrives, ``go_on`` when its caller comes back from a detour: ``digits``
    are those typed after a ``Gather`` (``0-9*#``, empty when none came in time), empty after a ``Later``.
    ``go_on`` is also asked, of calls either way, when an agent did not answer, or somebody to whom the caller
    was moved; then the route alone of the answer counts, and the call keeps its terms.
    ``call`` is the call as it stands; its terms hold what earlier answers said, its ``callee`` who did not
    answer, its ``former`` those before, and its ``move`` what became of the latest.

    Both answer within the routing question's budget (a second): whatever takes longer is begun,
    and answered with a ``Later``. An answer that is late, or an error, leaves the caller to the dialplan's
    fallback; where it was the first, no call was made of it.
    A phone of ours calls with ``door`` ``from-phone`` and its name in ``line``; calls' records name it
    ``phone:<line>``.
    """

    async def facts_for(self, offered: Offered) -> RouteFacts: ...

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts: ...


class Archive(Protocol):
    """Finishes recordings: from the switch's raw file to a playable one. Idempotent.

    Returns (ok, detail pairs for the event).
    """

    async def file(self, call: Call, tape_id: str) -> tuple[bool, tuple[tuple[str, str], ...]]: ...


class Endings(Protocol):
    """The second source: what became of channels that ended while the gateway was away."""

    async def of(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Ending]: ...


@dataclass(frozen=True, slots=True)
class Joined:
    """A masked call that the switch joined by itself, as its dialplan noted it. Times: epoch seconds.

    ``call_id`` follows from the channel's id: it is the same however often this is read. ``caller`` is a
    number, ``phone:`` and a phone's name, or empty where it was withheld; ``answered_at`` is None where it
    was not answered, or is over. Durations in seconds.
    """

    call_id: CallId
    channel: ChannelId
    at: float
    tenant: TenantId
    session_id: str
    seat: int
    to_seat: int
    dialled: str
    caller: str
    line: str
    route: Connect
    ring_s: int
    talk_s: int
    answered_at: float | None = None

    def __repr__(self) -> str:
        return f"Joined({self.call_id}, {self.channel})"


class JoinedCalls(Protocol):
    """What the switch did by itself while we were away.

    ``seen`` gives every such call that was not forgotten, live or over. ``is_told`` says whether it is on
    record already; then it is not taken up again. Each raises as the switch's, or the store's, verbs do.
    """

    async def seen(self) -> Sequence[Joined]: ...

    async def is_told(self, joined: Joined) -> bool: ...

    async def forget(self, joined: Joined) -> None: ...


@dataclass(frozen=True, slots=True)
class PlaceCall:
    """An outbound call somebody with the right to do so wants. Already checked against every policy.

    ``to`` (a number on the default trunk, a phone, or a room into which an agent is brought) is rung first,
    shown ``cli``; once it answers it is joined with ``far_end``. A ``Trunk`` endpoint with an empty trunk
    name takes the configured default trunk. Durations in seconds.
    ``call_id`` is the id the call must have, where a retried request must find the same call again.
    ``agent_version`` is the version of the agent's registration that the call is pinned to. ``session_id``
    is the masking session that ``to`` takes part in, at ``to_seat``: then the call is private.
    """

    tenant: TenantId
    api_key_id: str
    to: E164 | Phone | VideoRoom
    cli: E164
    far_end: Endpoint
    record: bool = False
    ring_timeout_s: int = 60
    max_duration_s: int = 3600
    agent_id: str | None = None
    webhook_url: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    call_id: CallId | None = None
    agent_version: int | None = None
    session_id: str | None = None
    to_seat: int = -1

    @property
    def called(self) -> str:
        """What the call's record shows as ``to``: the number, ``phone:`` and the phone's name, or ``room:``
        and the room's id."""
        if isinstance(self.to, VideoRoom):
            return f"{ROOM}{self.to.room_id}"
        return f"phone:{self.to.name}" if isinstance(self.to, Phone) else self.to.reveal()


class CallDesk(Protocol):
    """What an API face may do with live calls; the director fits it.

    ``place`` returns once the call is durably stored (status ``initiating``); SwitchUnavailable or
    StorageUnavailable mean that no call was made. ``hang_up`` orders the end and waits, at most
    ``patience_s``, until the call is closed; a call that is closed or unknown here is left alone.
    ``turn_tape`` takes ``start``, ``stop``, ``pause``, ``resume``; Conflict when the call's state
    forbids it; it returns when the switch has confirmed. ``live_calls`` counts a tenant's open calls.
    ``reroute`` takes a call's caller from its callee to another (``why`` is a token for records) and returns
    what came of it, in the words of ``Move.outcome``; where it was not ``completed``, the route book is asked
    where the caller goes next. ``send_digits`` plays digits (``0-9*#A-D``, ``w`` waits half a second) to the
    caller's line and returns when they have been played. Both raise NotFound and Conflict.
    """

    async def place(self, wanted: PlaceCall) -> Call: ...

    async def hang_up(self, call_id: CallId, *, patience_s: float = 5.0) -> None: ...

    async def turn_tape(self, call_id: CallId, verb: str, *, patience_s: float = 5.0) -> Call: ...

    async def reroute(
        self, call_id: CallId, route: Connect, ring_timeout_s: int, *, why: str = "transferred"
    ) -> str: ...

    async def send_digits(self, call_id: CallId, digits: str) -> None: ...

    def live_calls(self, tenant: TenantId) -> int: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that the director needs."""

    switch: Switch
    store: CallStore
    book: RouteBook
    archive: Archive
    endings: Endings
    now: Callable[[], float]
    """Epoch seconds that never go back."""
    new_id: Callable[[str], str]
    """A fresh id with this prefix, e.g. ``new_id("call")``."""
    trunk_for: Callable[[E164], str]
    """The trunk that a number is called over."""
    trunk_limits: Mapping[str, int] = field(default_factory=dict)
    """Most legs at once, by trunk; no entry, no limit."""
