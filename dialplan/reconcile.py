"""The truth after a gap: open calls compared with the channels that are really there.

Also the small judgements the director needs about recordings and orphans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from dialplan.core import facts
from dialplan.core.call import Call, Connect, Endpoint, Leg, Rank, Role, TapeState
from dialplan.core.orders import Hangup
from dialplan.life import Life
from dialplan.ports import Ending, Endings, LiveChannel, Switch
from telephony.errors import Conflict, OutcomeUnknown, SwitchRefused, SwitchUnavailable
from telephony.ids import ChannelId
from telephony.numbers import E164

_log = structlog.get_logger("dialplan.reconcile")

RECORD_S = 1.0
"""How long after a channel's end the switch may take to write its record of the call."""
STUBBORN_S = 4.0
"""How long a hang-up may take before it is ordered again; half of the watchdog's patience."""

CATCH_UP_S = 5.0
"""How long a look waits until what it found is stored. A database that is away makes us not ready anyway."""


class Sources(Protocol):
    """Where to look, and what o'clock it is."""

    @property
    def switch(self) -> Switch: ...

    @property
    def endings(self) -> Endings: ...

    @property
    def now(self) -> Callable[[], float]: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """The channels that are there, those that were known before anybody looked and are not, and the switch's
    records of the latter."""

    rows: Mapping[ChannelId, LiveChannel]
    gone: frozenset[ChannelId]
    records: Mapping[ChannelId, Ending]

    def ending(self, call: Call, leg: Leg) -> Ending | None:
        """The switch keeps its record under the caller's channel; it tells of both legs."""
        own = None if leg.channel is None else self.records.get(leg.channel)
        if own is not None or call.caller.channel is None:
            return own
        if call.former and leg.role is Role.CALLEE:
            return None  # that record is of several callees, and tells not which
        return self.records.get(call.caller.channel)

    def is_untold(self, call: Call) -> bool:
        """Whether a leg that was heard of is gone, and no record tells how."""
        gone = (leg for leg in call.legs if leg.live and leg.channel in self.gone)
        return any(leg.rank is not Rank.NEW and self.ending(call, leg) is None for leg in gone)


async def look(
    sources: Sources, lives: Sequence[Life], bind: Callable[[ChannelId, Life], None], *, restarted: bool
) -> list[ChannelId]:
    """Feed every open call what the switch's list of channels says; return channels nobody knows.

    Only channels that were known before the look are judged by absence. A channel that is gone is given the
    ending that the switch's own call records know, where they do; the latest record may be a moment late.
    """
    lives = [life for life in lives if not life.call.closed]
    known = {leg.channel for life in lives for leg in life.call.legs if leg.channel is not None}
    rows = {row.channel: row for row in await sources.switch.live_channels()}
    gone = frozenset(known - rows.keys())
    found = _Found(rows, gone, await sources.endings.of(sorted(gone)) if gone else {})
    if not restarted and any(found.is_untold(life.call) for life in lives):
        await asyncio.sleep(RECORD_S)
        found = _Found(rows, gone, await sources.endings.of(sorted(gone)))
    why = "switch_restarted" if restarted else "gateway_was_away"
    claimed: set[ChannelId] = set()
    for life in (life for life in lives if not life.call.closed):
        _judge_unheard_callee(life, found.records, why)
        for leg in life.call.legs:
            _judge_leg(life, leg, found, why)
        claimed |= _adopt_callee(life, rows, bind)
        claimed |= {leg.channel for leg in life.call.legs if leg.channel}
    return [channel for channel in rows if channel not in claimed]


def _judge_leg(life: Life, leg: Leg, found: _Found, why: str) -> None:
    if not leg.live or leg.channel is None:
        return
    row = found.rows.get(leg.channel)
    if row is not None:
        life.post(facts.SeenLive(leg.role, row.up, leg.channel))
        return
    if leg.channel not in found.gone:
        return  # it began since we looked
    ending = found.ending(life.call, leg)
    if ending is None:
        # A leg nobody ever heard of may be one whose order is still on its way: its own deadline judges it.
        if leg.rank is not Rank.NEW:
            life.post(facts.Vanished(leg.role, why, channel=leg.channel))
        return
    if ending.answered_at is not None and (leg.role is Role.CALLER or ending.joined):
        answered_at = ending.answered_at
        if leg.role is Role.CALLEE and life.call.detours:
            answered_at = max(answered_at, leg.dialed_at or 0.0)  # the caller was answered to type digits
        life.post(facts.Answered(leg.role, leg.channel), at=answered_at)
    if ending.left and leg.role is Role.CALLER:
        life.post(facts.EndRequested(leg.role), at=ending.ended_at)
    life.post(facts.HungUp(leg.role, ending.cause, channel=leg.channel), at=ending.ended_at)


def _judge_unheard_callee(life: Life, records: Mapping[ChannelId, Ending], why: str) -> None:
    """Nobody heard of the callee, but an inbound caller is only answered when its callee is."""
    call = life.call
    if call.outbound or call.virtual_callee or call.callee.channel is not None or call.caller.channel is None:
        return
    ending = records.get(call.caller.channel)
    if call.detours and not (ending is not None and ending.dialled):
        return  # it was answered to type digits
    if call.former:
        return  # nor of which callee it tells
    if ending is not None and ending.answered_at is not None and ending.joined:
        fact = facts.Vanished(Role.CALLEE, why, ending.cause, answered=True)
        life.post(fact, at=ending.answered_at)


def _adopt_callee(
    life: Life, rows: dict[ChannelId, LiveChannel], bind: Callable[[ChannelId, Life], None]
) -> set[ChannelId]:
    """The callee's channel appeared while nobody listened: it is linked to the caller's."""
    call = life.call
    if call.callee.rank is not Rank.NEW or call.caller.channel is None or call.virtual_callee:
        return set()
    known = {leg.channel for leg in call.legs}
    for row in rows.values():
        if row.linked == call.caller.channel and row.channel not in known:
            life.post(facts.Dialed(Role.CALLEE, row.channel))
            bind(row.channel, life)
            life.post(facts.SeenLive(Role.CALLEE, row.up))
            return {row.channel}
    return set()


async def caught_up(lives: Sequence[Life]) -> None:
    """Whoever asks after a look must not be told what was before it."""
    late = [not in_time for in_time in await asyncio.gather(*(life.caught_up(CATCH_UP_S) for life in lives))]
    if any(late):
        _log.warning("look.not_stored", count=sum(late))


async def patrol(
    sources: Sources,
    place_of: Callable[[ChannelId], tuple[Life, Role] | None],
    ours: Callable[[ChannelId], bool],
) -> list[ChannelId]:
    """Between looks: a leg that was ordered to end and lives on is ordered again; channels of ours that
    belong to no live leg are returned. Absence proves nothing here: the event may be on its way."""
    orphans = []
    for row in await sources.switch.live_channels():
        place = place_of(row.channel)
        leg = None if place is None else place[0].call.leg_at(row.channel, place[1])
        if place is None or leg is None or not leg.live:
            if ours(row.channel):
                orphans.append(row.channel)
        elif leg.ending_at is not None and sources.now() - leg.ending_at >= STUBBORN_S:
            place[0].post(facts.SeenLive(leg.role, row.up, row.channel))
    return orphans


async def end_orphan(switch: Switch, order: Hangup) -> None:
    """Hang up a channel of no call. Gone already, or the switch away: the next look sees to it."""
    with suppress(SwitchRefused, SwitchUnavailable, OutcomeUnknown):
        await switch.hang_up(order)


def connect_to(endpoint: Endpoint, cli: E164) -> Connect:
    """The route of a call that we place: join with the far end, which sees ``cli``."""
    return Connect(endpoint, cli)


def check_tape(call: Call, verb: str) -> None:
    """Raise Conflict, saying why, when this call's recording cannot be turned so now."""
    if call.closed or call.caller.rank is not Rank.UP:
        raise Conflict("the call is not in progress", code="CALL_NOT_IN_PROGRESS")
    tape = call.tape
    if verb == "start":
        if tape is not None:
            raise Conflict("the call is being recorded already", code="RECORDING_RUNNING")
        return
    if tape is None:
        raise Conflict("the call is not being recorded", code="RECORDING_NOT_RUNNING")
    needs = {"pause": TapeState.RECORDING, "resume": TapeState.PAUSED}.get(verb)
    if needs is not None and tape.state is not needs:
        raise Conflict(f"the recording is {tape.state}", code="RECORDING_STATE")


def tape_turned(before: Call, verb: str) -> Callable[[Call], bool]:
    """What must hold for the verb to be confirmed."""
    count = len(before.tapes)

    def holds(call: Call) -> bool:
        if call.closed:
            return True
        if verb == "start":
            return len(call.tapes) > count and call.tapes[count].state is not TapeState.WAITING
        state = call.tapes[count - 1].state
        if verb == "stop":
            return not state.running
        return state is (TapeState.PAUSED if verb == "pause" else TapeState.RECORDING)

    return holds


def check_turned(before: Call, after: Call, verb: str) -> None:
    """Raise Conflict, saying why, when the wait is over and the recording was not turned."""
    index = len(before.tapes) - (verb != "start")
    tape = after.tapes[index] if index < len(after.tapes) else None
    if verb == "start" and tape is not None and tape.started_at is None and not after.closed:
        raise Conflict("the switch refused to record", code="RECORDING_REFUSED")
    started = tape is not None and tape.started_at is not None
    if after.closed and verb != "stop" and not (verb == "start" and started):
        raise Conflict("the call ended before", code="CALL_NOT_IN_PROGRESS")
