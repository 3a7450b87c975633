"""Calls that the switch joined by itself while we were away become calls like any other.

They are known by what the dialplan noted of each: taken up once, durably, under an id that follows from the
channel's, and only then forgotten there. So a call is told once, however often we die in between: an entry
that is still there belongs to a call that is known already, open or closed, or to one that is not yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from dialplan.core import facts
from dialplan.core.call import Call, Direction, Leg, Rank, Role, Terms
from dialplan.life import Life
from dialplan.ports import Joined, JoinedCalls, LiveChannel, Switch
from telephony.ids import ChannelId, LegId

_log = structlog.get_logger("dialplan.adoption")


class Desk(Protocol):
    """What the director does for an adoption.

    ``take_up`` stores the call, then judges it; a call of this channel that it judges already stays it.
    """

    async def take_up(self, call: Call) -> Life: ...

    def bind_callee(self, channel: ChannelId, life: Life) -> None: ...


class Adoption:
    """``take_up_all`` is called before every look at the switch, and now and then."""

    def __init__(self, desk: Desk, joined: JoinedCalls, switch: Switch, new_id: Callable[[str], str]) -> None:
        self._desk = desk
        self._joined = joined
        self._switch = switch
        self._new_id = new_id
        self.adopted = 0

    async def take_up_all(self) -> int:
        """Take up what the switch joined by itself; how many calls there were.

        Raises what the switch and the store raise; what was not taken up stays noted and is found again.
        A call whose channels are gone is left to the look that follows, which knows the switch's records.
        """
        noted = await self._joined.seen()
        if not noted:
            return 0
        rows = await self._switch.live_channels()
        count = 0
        for one in noted:
            if not await self._joined.is_told(one):
                life = await self._desk.take_up(call_of(one, self._new_id))
                self._tell(life, one, rows)
                count += 1
            await self._joined.forget(one)
        self.adopted += count
        _log.info("calls.joined_without_us", count=count)
        return count

    def _tell(self, life: Life, one: Joined, rows: Sequence[LiveChannel]) -> None:
        """What is to be seen of a call that is still there: its other leg, and since when they talk."""
        theirs = (row for row in rows if row.linked == one.channel and row.channel != one.channel)
        callee = next(theirs, None)
        awaited = life.call.callee.rank is Rank.NEW
        if callee is None or not awaited or not any(row.channel == one.channel for row in rows):
            return
        life.post(facts.Dialed(Role.CALLEE, callee.channel), at=one.at)
        self._desk.bind_callee(callee.channel, life)
        if one.answered_at is not None:
            life.post(facts.Answered(Role.CALLEE), at=one.answered_at)
            life.post(facts.Answered(Role.CALLER), at=one.answered_at)


def call_of(one: Joined, new_id: Callable[[str], str]) -> Call:
    """The call that this was, from the moment its caller was sent on."""
    terms = Terms(
        tenant=one.tenant,
        direction=Direction.INBOUND,
        to_number=one.dialled,
        from_number=one.caller,
        ring_timeout_s=one.ring_s,
        max_duration_s=one.talk_s,
        session_id=one.session_id,
        seat=one.seat,
        to_seat=one.to_seat,
        private=True,
    )
    return Call(
        id=one.call_id,
        terms=terms,
        created_at=one.at,
        caller=Leg(LegId(new_id("leg")), Role.CALLER, Rank.DIALING, one.channel, line=one.line),
        callee=Leg(LegId(new_id("leg")), Role.CALLEE),
        route=one.route,
        asked=True,
    )
