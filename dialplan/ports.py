"""What this room needs from outside. Adapters fit structurally; ``dialplan.fakes`` ships one of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dialplan.core.call import Call
from dialplan.core.orders import Hangup, Originate, TurnTape
from dialplan.core.record import CallEvent, Cdr
from dialplan.core.routing import Offered, RouteFacts
from telephony.ids import ChannelId


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """One row of the switch's list of channels. ``up`` when answered."""

    channel: ChannelId
    linked: ChannelId
    up: bool
    application: str


@dataclass(frozen=True, slots=True)
class Ending:
    """What a second source knows of a channel that ended while nobody listened."""

    channel: ChannelId
    answered: bool
    cause: int | None


class Switch(Protocol):
    """The telephone switch, as the director uses it.

    Each verb raises SwitchUnavailable (certainly not sent), SwitchRefused, or OutcomeUnknown.
    """

    @property
    def ready(self) -> bool: ...

    async def originate(self, order: Originate) -> None: ...

    async def hang_up(self, order: Hangup) -> None: ...

    async def turn_tape(self, order: TurnTape) -> None: ...

    async def live_channels(self) -> Sequence[LiveChannel]: ...


class CallStore(Protocol):
    """The durable truth about calls. Raises StorageUnavailable; when it returns, it is stored.

    ``append`` writes, in one transaction: the call's row and snapshot, its new events, the webhook
    deliveries these cause, and the CDR when there is one. Appending the same (call, sequence) twice
    changes nothing. ``open_calls`` gives every call that is not settled.
    """

    async def append(self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None) -> None: ...

    async def open_calls(self) -> Sequence[Call]: ...


class RouteBook(Protocol):
    """Answers from memory where an inbound call goes. Never waits."""

    def facts_for(self, offered: Offered) -> RouteFacts: ...


class Archive(Protocol):
    """Finishes recordings: from the switch's raw file to a playable one. Idempotent.

    Returns (ok, detail pairs for the event).
    """

    async def file(self, call: Call, tape_id: str) -> tuple[bool, tuple[tuple[str, str], ...]]: ...


class Endings(Protocol):
    """The second source: what became of channels that ended while the gateway was away."""

    async def of(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Ending]: ...
