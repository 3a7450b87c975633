"""One stand-in for each of ``dialplan.ports``: in memory, scriptable, without chance.

They keep the same promises as the real adapters (one contract suite tests both), and fail when told to.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dialplan.core import snapshot
from dialplan.core.call import Call
from dialplan.core.heard import Heard, What
from dialplan.core.orders import Hangup, Originate, Redirect, TurnTape
from dialplan.core.record import CallEvent, Cdr
from dialplan.core.routing import Offered, RouteFacts
from dialplan.ports import Ending, LiveChannel
from telephony.errors import StorageUnavailable, SwitchRefused, SwitchUnavailable
from telephony.ids import CallId, ChannelId

SwitchOrder = Originate | Hangup | Redirect | TurnTape
_TURNS = {"start": "started", "stop": "stopped", "pause": "paused", "resume": "resumed"}


class ManualClock:
    """A clock that moves only when told to. ``now()`` is epoch seconds, as the director wants it."""

    def __init__(self, start: datetime = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)) -> None:
        self._start = start
        self._mono = 0.0

    def wall(self) -> datetime:
        return self._start + timedelta(seconds=self._mono)

    def mono(self) -> float:
        return self._mono

    def now(self) -> float:
        return self._start.timestamp() + self._mono

    def advance(self, seconds: float) -> None:
        self._mono += seconds


@dataclass(slots=True)
class _Fault:
    error: Exception
    carried_out: bool


@dataclass(slots=True, eq=False)
class FakeSwitch:
    """Fits ``dialplan.ports.Switch``: a switch whose channels live and die as the test says.

    ``tell`` hears what happens (set it to ``Director.hear``); while ``listening`` is False, what is said
    is lost, as over a broken link. An ordered hang-up ends the channel at once if ``obeys``, a redirection
    those that it had dialled. ``digits`` are those that were played, with their channels.
    ``on_order`` is called with every order that was carried out.
    """

    ready: bool = True
    listening: bool = True
    obeys: bool = True
    tell: Callable[[Heard], None] | None = None
    on_order: Callable[[SwitchOrder], None] | None = None
    orders: list[SwitchOrder] = field(default_factory=list)
    digits: list[tuple[ChannelId, str]] = field(default_factory=list)
    channels: dict[ChannelId, LiveChannel] = field(default_factory=dict)
    _faults: defaultdict[str, deque[_Fault]] = field(default_factory=lambda: defaultdict(deque))

    def fail(self, verb: str, error: Exception, *, carried_out: bool = False) -> None:
        """The next ``originate``, ``hang_up``, ``redirect``, ``turn_tape``, ``play_digit`` or
        ``live_channels`` raises this, once.

        ``carried_out``: the order takes effect all the same, as with an answer that was lost.
        """
        self._faults[verb].append(_Fault(error, carried_out))

    # ------------------------------------------------------------ the port

    async def originate(self, order: Originate) -> None:
        self._take("originate", order)

    async def hang_up(self, order: Hangup) -> None:
        self._take("hang_up", order)

    async def redirect(self, order: Redirect) -> None:
        self._take("redirect", order)

    async def play_digit(self, channel: ChannelId, digit: str) -> None:
        if not self.ready:
            raise SwitchUnavailable
        if self._faults["play_digit"]:
            raise self._faults["play_digit"].popleft().error
        if channel not in self.channels:
            raise SwitchRefused("No such channel")
        self.digits.append((channel, digit))

    async def turn_tape(self, order: TurnTape) -> None:
        self._take("turn_tape", order)

    async def live_channels(self) -> Sequence[LiveChannel]:
        if not self.ready:
            raise SwitchUnavailable
        if self._faults["live_channels"]:
            raise self._faults["live_channels"].popleft().error
        return list(self.channels.values())

    def _take(self, verb: str, order: SwitchOrder) -> None:
        if not self.ready:
            raise SwitchUnavailable
        fault = self._faults[verb].popleft() if self._faults[verb] else None
        if fault is None or fault.carried_out:
            self._carry_out(order)
        if fault is not None:
            raise fault.error

    def _carry_out(self, order: SwitchOrder) -> None:
        if isinstance(order, Hangup | Redirect | TurnTape) and order.channel not in self.channels:
            raise SwitchRefused("No such channel")
        self.orders.append(order)
        match order:
            case Hangup(channel=channel, cause=cause) if self.obeys:
                self.end(channel, cause)
            case Redirect(channel=channel) if self.obeys:
                for row in list(self.channels.values()):
                    if row.linked == channel != row.channel:
                        self.end(row.channel)
            case TurnTape(verb=verb, channel=channel) if self.obeys:
                self.say(Heard(What.TAPE, channel, detail=_TURNS[verb]))
        if self.on_order is not None:
            self.on_order(order)

    def ordered(self, kind: type[SwitchOrder]) -> list[SwitchOrder]:
        """The orders of one kind that were carried out, in order."""
        return [order for order in self.orders if isinstance(order, kind)]

    # ------------------------------------------------------------ what happens in the switch

    def say(self, heard: Heard) -> None:
        """Tell it, if anybody listens."""
        if self.listening and self.tell is not None:
            self.tell(heard)

    def exist(self, channel: ChannelId, *, up: bool = False, by: ChannelId | None = None) -> None:
        """A channel is there, and nothing is said of it."""
        self.channels[channel] = LiveChannel(channel, by or channel, up, "Dial" if by is None else "AppDial")

    def dial(self, channel: ChannelId, *, by: ChannelId | None = None) -> None:
        """A channel appears and its INVITE goes out; ``by`` names the channel that dials it."""
        self.exist(channel, by=by)
        self.say(Heard(What.DIALED, channel, by=by))

    def ring(self, channel: ChannelId) -> None:
        self.say(Heard(What.RANG, channel))

    def answer(self, channel: ChannelId) -> None:
        if channel in self.channels:
            self.channels[channel] = replace(self.channels[channel], up=True)
        self.say(Heard(What.ANSWERED, channel))

    def far_end_hangs_up(self, channel: ChannelId, *, cause: int = 16) -> None:
        """The party on this channel says BYE."""
        self.say(Heard(What.END_REQUESTED, channel))
        self.end(channel, cause)

    def end(self, channel: ChannelId, cause: int | None = 16, sip: int | None = None) -> None:
        """The channel is gone."""
        self.channels.pop(channel, None)
        self.say(Heard(What.HUNG_UP, channel, cause=cause, sip=sip))

    def restart(self) -> None:
        """Another process: no channel survives, nothing is said."""
        self.channels.clear()


class MemoryCallStore:
    """Fits ``dialplan.ports.CallStore``. Calls go through real JSON, as in a database.

    ``go_away(n)`` makes the next ``n`` appends raise StorageUnavailable; without ``n``, until ``return_``.
    """

    def __init__(self) -> None:
        self.events: defaultdict[CallId, list[CallEvent]] = defaultdict(list)
        self.cdrs: dict[CallId, Cdr] = {}
        self.refused = 0
        self._snapshots: dict[CallId, str] = {}
        self._sequences: dict[CallId, int] = {}
        self._away: float = 0
        self._gate: asyncio.Event | None = None

    def go_away(self, appends: float = float("inf")) -> None:
        self._away = appends

    def return_(self) -> None:
        self._away = 0

    def hold(self) -> asyncio.Event:
        """Appends wait from now on until the event is set: a slow database."""
        self._gate = asyncio.Event()
        return self._gate

    async def append(
        self, call: Call, events: Sequence[CallEvent], cdr: Cdr | None, *, patient: bool = False
    ) -> None:
        if self._gate is not None:
            await self._gate.wait()
        if self._away > 0:
            self._away -= 1
            self.refused += 1
            raise StorageUnavailable("the database is away, as told")
        known = self._sequences.get(call.id, 0)
        if known > call.sequence:
            return
        self._sequences[call.id] = call.sequence
        self._snapshots[call.id] = json.dumps(snapshot.encode(call))
        self.events[call.id] += [event for event in events if event.sequence > known]
        if cdr is not None:
            self.cdrs.setdefault(call.id, cdr)

    async def open_calls(self) -> Sequence[Call]:
        calls = (self.get(call_id) for call_id in sorted(self._snapshots))
        return [call for call in calls if not call.settled]

    def get(self, call_id: CallId) -> Call:
        """The call as last stored. KeyError when there is none."""
        return snapshot.decode(json.loads(self._snapshots[call_id]))

    def types(self, call_id: CallId) -> list[str]:
        """The types of the call's events, in order of storing."""
        return [event.type for event in self.events[call_id]]

    def __len__(self) -> int:
        return len(self._snapshots)


class FixedBook:
    """Fits ``dialplan.ports.RouteBook``: the same answer always, or one for each dialled number.

    ``then`` answers those who ask again, one after another, and the last of them for ever; without it they
    hear what they heard at first. ``error`` is raised instead, once, where it is set.
    """

    def __init__(self, facts: RouteFacts | Mapping[str, RouteFacts], then: Sequence[RouteFacts] = ()) -> None:
        self._facts = facts
        self.then = deque(then)
        self.asked: list[Offered] = []
        self.typed: list[str] = []
        self.error: Exception | None = None

    async def facts_for(self, offered: Offered) -> RouteFacts:
        self.asked.append(offered)
        return self._answer(offered)

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        self.typed.append(digits)
        self.asked.append(offered)
        if not self.then:
            return self._answer(offered)
        return self._take(self.then[0] if len(self.then) == 1 else self.then.popleft())

    def _answer(self, offered: Offered) -> RouteFacts:
        if isinstance(self._facts, RouteFacts):
            return self._take(self._facts)
        return self._take(self._facts.get(offered.dialled.lstrip("+"), RouteFacts(tenant=None, route=None)))

    def _take(self, facts: RouteFacts) -> RouteFacts:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return facts


class FakeArchive:
    """Fits ``dialplan.ports.Archive``: files at once, with this result, or raises ``error``.

    The detail pairs of success are those of a real recording of one second.
    """

    def __init__(self, ok: bool = True, error: Exception | None = None) -> None:
        self.ok = ok
        self.error = error
        self.filed: list[str] = []

    async def file(self, call: Call, tape_id: str) -> tuple[bool, tuple[tuple[str, str], ...]]:
        self.filed.append(tape_id)
        if self.error is not None:
            raise self.error
        if not self.ok:
            return False, (("reason", "no_audio"),)
        return True, (
            ("file", f"{tape_id}.wav"),
            ("duration_ms", "1000"),
            ("channels", "2"),
            ("bytes", "32044"),
        )


class FakeEndings:
    """Fits ``dialplan.ports.Endings``: knows what it was given."""

    def __init__(self, *endings: Ending) -> None:
        self.known = {ending.channel: ending for ending in endings}

    def add(self, ending: Ending) -> None:
        self.known[ending.channel] = ending

    async def of(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Ending]:
        return {channel: self.known[channel] for channel in channels if channel in self.known}
