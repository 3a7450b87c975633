"""Telephones in rooms: every visit that goes on, and who is told of what. Fits ``PhonesInRooms``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from telephony.errors import Conflict, NotFound, PatchbayError, RoomsUnavailable
from telephony.ids import TenantId
from video_rooms.core import roster, told
from video_rooms.core.leg import HangUp, LegFact
from video_rooms.core.pin import is_full, phone_name
from video_rooms.core.room import Person, Presence, Role, Room, Status
from video_rooms.core.roster import LOST, left
from video_rooms.core.visit import brought, called_out, dialled_in
from video_rooms.core.visit_words import (
    Admitted,
    CallOver,
    CallRang,
    Denied,
    Expelled,
    HostCame,
    RoomOver,
    Stage,
    Visit,
    VisitFact,
    Why,
)
from video_rooms.core.wishes import CallOut, JoinWish, Pass
from video_rooms.guest import Guest, PhoneCall, PhoneSurroundings
from video_rooms.ports import Entrance, RoomStore

_log = structlog.get_logger("rooms.phones")
_PHONE: Final = "phone_"
_AGENT: Final = "agent_"
_HEXES: Final = 8
_SLACK_S: Final = 30.0
"""What lies between the ringing and the switch's bringing of the sound."""
_SETTLE_S: Final = 8.0
STOPPING: Final = "gateway_stopping"
_OUTSIDE: Final = frozenset({Stage.COMING, Stage.CONSENT, Stage.WAITING, Stage.ENTERING})
"""Stages in which a telephone is on a roster and not at the media server."""


class LaterEntrance:
    """The door, which is made after the telephones that come in by it. Fits ``Entrance``."""

    def __init__(self) -> None:
        self.to: Entrance | None = None

    async def join(self, tenant: TenantId, room_id: str, wish: JoinWish) -> Pass:
        if self.to is None:
            raise RoomsUnavailable("the rooms are not open yet")
        return await self.to.join(tenant, room_id, wish)


class PhoneDesk:
    """``hexes`` makes so many of ``0-9a-f`` that nobody can guess. ``identity`` makes an identity that begins
    like this, where the carrier has a say in it."""

    def __init__(
        self,
        around: PhoneSurroundings,
        rooms: RoomStore,
        hexes: Callable[[int], str],
        identity: Callable[[str], str] | None = None,
    ) -> None:
        self._around = around
        self._rooms = rooms
        self._hexes = hexes
        self._made = identity
        self._guests: dict[str, Guest] = {}
        self._leaving: set[Guest] = set()
        self._left_behind: list[str] = []
        self.ended: Counter[tuple[str, str]] = Counter()
        """Visits that are over, by way (``in``, ``out``) and reason."""

    def __len__(self) -> int:
        return len(self._guests)

    def stages(self) -> Counter[str]:
        """The visits that go on, by stage."""
        return Counter(guest.visit.stage.value for guest in self._guests.values())

    def guest(self, call_id: str) -> Guest | None:
        """The visit of this call, while it goes on."""
        return self._guests.get(call_id)

    async def line_of(self, room_id: str, call_id: str) -> Person | None:
        """This call's line on the room's roster, also once it is over."""
        lines = await self._around.people.of(room_id)
        return next((line for line in lines if line.call_id == call_id), None)

    async def start(self) -> None:
        """Whoever was called or waited when the gateway ended will not come in, for nothing carries them any
        more: that is told, and their calls are ended by ``end_left_behind``. Raises StorageUnavailable."""
        at = self._around.wall()

        def lost(line: Person | None) -> Person | None:
            over = line is None or line.presence in (Presence.JOINED, Presence.LEFT)
            return line if line is None or over else left(line, at, LOST)

        for line in await self._around.people.outside():
            after = await self._around.people.change(line.room_id, line.identity, lost)
            if after is not None and after.why_left == LOST:
                await self._tell_lost(line, after)

    async def _tell_lost(self, line: Person, after: Person) -> None:
        if line.call_id:
            self._left_behind.append(line.call_id)
        room = await self._rooms.of_live(line.session)
        if room is None:
            return
        for kind, one in roster.told(line, after):
            self._around.announcer.tell(room.tenant, kind, room.id, told.person_told(one))
        if line.presence is not Presence.WAITING and line.role is Role.PHONE and line.call_id:
            body = told.failed_told(line.identity, line.display_name, line.call_id, Why.LEG_LOST.value)
            self._around.announcer.tell(room.tenant, "room.phone.failed", room.id, body)

    def end_left_behind(self) -> None:
        """Whatever of those calls still goes on (a telephone that rings does) is ended. To be called once it
        is known which calls go on."""
        for call_id in self._left_behind:
            self._around.calls.end(call_id, Why.LEG_LOST.value)
        self._left_behind.clear()

    # ------------------------------------------------------------ calls that begin

    async def dial_in(self, call: PhoneCall, within_s: float) -> str:
        """A telephone calls a dial-in line: what Dial() is given. Without an identity it gets one. Raises
        RoomsUnavailable."""
        call = replace(call, identity=call.identity or self._identity(_PHONE))
        wait_s = within_s + _SLACK_S
        dial = await self._around.carrier.expect(call.call_id, self, wait_s)
        self._enter(
            Guest(call, dialled_in(self._around.now(), call.longest_s, wait_s), self._around, self._gone)
        )
        return dial

    async def call_out(
        self, tenant: TenantId, room_id: str, wanted: CallOut, call_id: str, longest_s: float
    ) -> tuple[str, Person]:
        """Make a place for a telephone that is about to be called: what Dial() is given once it answers, and
        its line on the roster. Raises NotFound, Conflict (ROOM_FULL), RoomsUnavailable, StorageUnavailable.
        """
        room = await self._open_room(tenant, room_id)
        name, identity = wanted.display_name or phone_name(wanted.to), self._identity(_PHONE)
        call = PhoneCall(call_id, tenant, identity, name, longest_s, caller=wanted.to)
        wait_s = wanted.ring_timeout_s + _SLACK_S
        visit = called_out(self._around.now(), longest_s, wait_s, room_id, consent=wanted.consent)
        return await self._reserve(room, call, visit, wait_s)

    async def bring_agent(
        self, tenant: TenantId, room_id: str, name: str, call_id: str, longest_s: float
    ) -> tuple[str, Person]:
        """The same for an agent, whose call has the room for its first leg: nothing is said to it, and it
        needs no place. Raises as ``call_out``."""
        room = await self._open_room(tenant, room_id, counts=False)
        call = PhoneCall(call_id, tenant, self._identity(_AGENT), name, longest_s, role=Role.AGENT)
        visit = brought(self._around.now(), longest_s, _SLACK_S, room_id)
        return await self._reserve(room, call, visit, _SLACK_S)

    async def bring_caller(self, call: PhoneCall, room_id: str) -> str:
        """A telephone that is on the line already is about to be taken into the room: what Dial() is given.
        Its identity is made here. Raises as ``call_out``."""
        room = await self._open_room(call.tenant, room_id)
        call = replace(call, identity=self._identity(_PHONE))
        visit = called_out(self._around.now(), call.longest_s, _SLACK_S, room_id, consent=False)
        dial, _ = await self._reserve(room, call, visit, _SLACK_S)
        return dial

    async def _reserve(self, room: Room, call: PhoneCall, visit: Visit, wait_s: float) -> tuple[str, Person]:
        dial = await self._around.carrier.expect(call.call_id, self, wait_s, room=room.live_name)
        line = Person(room.id, call.identity, call.name, call.role, Presence.PENDING)
        line = replace(line, call_id=call.call_id, session=room.live_name)
        try:
            await self._around.people.put(line)
        except PatchbayError:
            self._around.carrier.order(call.call_id, HangUp())
            raise
        self._enter(Guest(call, visit, self._around, self._gone), room.live_name)
        return dial, line

    async def forget(self, call_id: str) -> None:
        """The call was not placed: nobody ever was on the roster."""
        guest = self._guests.pop(call_id, None)
        if guest is None:
            return
        self._around.carrier.order(call_id, HangUp())
        await guest.settle(_SETTLE_S)
        await self._around.people.drop(guest.room_id, guest.call.identity)

    async def _open_room(self, tenant: TenantId, room_id: str, *, counts: bool = True) -> Room:
        room = await self._rooms.get(tenant, room_id)
        if room is None or room.status is Status.ENDED:
            raise NotFound("there is no such room")
        if counts and is_full(room, await self._around.people.of(room_id)):
            raise Conflict("the room is full", code="ROOM_FULL")
        return room

    def _identity(self, prefix: str) -> str:
        if self._made is not None:
            return self._made(prefix)
        return prefix + self._hexes(_HEXES)

    def _enter(self, guest: Guest, session: str = "") -> None:
        self._guests[guest.call.call_id] = guest
        guest.begin(session)

    def _gone(self, guest: Guest) -> None:
        self._guests.pop(guest.call.call_id, None)
        self.ended[guest.visit.way.value, guest.visit.why] += 1
        self._leaving.add(guest)
        task = asyncio.create_task(self._let_go(guest), name=f"phone-over-{guest.call.call_id}")
        task.add_done_callback(lambda _: self._leaving.discard(guest))

    async def _let_go(self, guest: Guest) -> None:
        # why: the library may leave without a word where many leave at once, and is shown for half a minute
        if guest.session and guest.visit.stage is Stage.OVER:
            await self._around.see_off(guest.session, guest.call.identity)
        await guest.settle(_SETTLE_S)

    # ------------------------------------------------------------ what is heard

    def heard(self, leg_id: str, fact: LegFact) -> None:
        """The carrier tells. Fits ``LegEar``."""
        self._tell(leg_id, fact)

    def call_rang(self, call_id: str) -> None:
        """The telephone that is called rings."""
        self._tell(call_id, CallRang())

    def call_over(self, call_id: str, why: str) -> None:
        """The telephone's side of the call has ended; ``why`` as in ``CallOver``."""
        self._tell(call_id, CallOver(why))

    def _tell(self, call_id: str, fact: VisitFact) -> None:
        guest = self._guests.get(call_id)
        if guest is not None:
            guest.take(fact)

    # ------------------------------------------------------------ what hosts do

    def admit(self, room_id: str, identity: str) -> bool:
        return self._to(room_id, identity, Admitted(), frozenset({Stage.WAITING}))

    def deny(self, room_id: str, identity: str) -> bool:
        return self._to(room_id, identity, Denied(), frozenset({Stage.WAITING}))

    def put_out(self, room_id: str, identity: str) -> bool:
        return self._to(room_id, identity, Expelled(), _OUTSIDE)

    def host_came(self, room_id: str) -> None:
        for guest in self._of(room_id):
            guest.take(HostCame())

    def room_over(self, room_id: str) -> None:
        for guest in self._of(room_id):
            guest.take(RoomOver())

    def _to(self, room_id: str, identity: str, fact: VisitFact, stages: frozenset[Stage]) -> bool:
        for guest in self._of(room_id):
            if guest.call.identity == identity and guest.visit.stage in stages:
                guest.take(fact)
                return True
        return False

    def _of(self, room_id: str) -> list[Guest]:
        return [guest for guest in self._guests.values() if guest.room_id == room_id]

    # ------------------------------------------------------------ the end

    async def close(self) -> None:
        """Every visit ends, for nobody will be there to judge it; rosters are written within some seconds."""
        for call_id in list(self._guests):
            self._around.calls.end(call_id, STOPPING)
            self.call_over(call_id, STOPPING)
        await asyncio.gather(*(guest.settle(_SETTLE_S) for guest in list(self._leaving)))
        await self._around.sounds.close()
