"""Telephones brought into rooms by LiveKit's SIP service: the bridge of this process with that way in, trunks
kept at the media server, and the other carrier wherever the service is away.

It takes a process of its own no more than agents do: what it carries is linear sound, and the media server's
library is only needed for an anchor in each room.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from dialplan.ami.message import Message
from gateway.config import Settings, stored_secret
from gateway.config_room_sip import (
    ENDPOINT,
    RoomSipEnd,
    RoomSipSettings,
    allowed_from,
    installation_mark,
    room_sip_end,
)
from gateway.room_trunk_calls import Actor, SwitchedTrunkCalls
from gateway.room_worker import Worker
from gateway.room_workers import RoomsHere, RoomWorkers, WorkerState
from telephony.clock import Clock
from telephony.errors import RoomsUnavailable
from video_rooms.core.leg import LegOrder
from video_rooms.core.trunks import Inbound, Outbound, TrunkPlan
from video_rooms.ports import Chances, LegEar, RoomServer
from video_rooms.ports_media import RoomDoor, SwitchPort
from video_rooms.ports_trunk import TrunkCall, TrunkDesk, TrunkEar
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.door import DoorParts, Ladder, SipDoor
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from voice_agents.wire.asterisk import MediaAbilities

_log = structlog.get_logger("gateway.rooms")
PHONE = "phone_"


@dataclass(frozen=True, slots=True)
class RoomSipPlan:
    """``mark`` names this installation at the media server; ``connection`` is the switch's to us, at ``host``
    and ``port`` (0: a free one). ``alone``: nothing else carries telephones. ``keep``: trunks stay there.
    ``called``: it is LiveKit's service that calls the switch."""

    trunks: TrunkPlan
    connection: str
    host: str
    port: int
    music: Path | None = None
    alone: bool = False
    keep: bool = True
    called: bool = False


def trunk_plan(settings: RoomSipSettings, end: RoomSipEnd, secret: bytes) -> TrunkPlan:
    """What LiveKit is to have: where it is the one that calls, no trunk by which others could."""
    mark, inbound, back = installation_mark(secret), None, None
    if settings.room_sip_way == "in":
        inbound = Inbound(f"rooms-{mark}", end.user, end.password.reveal(), allowed_from(settings))
    if settings.room_sip_switch:
        back = Outbound(settings.room_sip_switch, ENDPOINT, end.back_password.reveal())
    return TrunkPlan(mark, inbound, back)


@dataclass(frozen=True, slots=True)
class SipSurroundings:
    """What the way in by SIP stands on."""

    server: RoomServer
    desk: TrunkDesk
    chances: Chances
    clock: Clock
    music: Path | None = None


class LaterCalls:
    """The switch's calls, which can be made once its connection is there. Fits ``TrunkCalls``."""

    def __init__(self) -> None:
        self.to: SwitchedTrunkCalls | None = None

    async def place(self, call: TrunkCall, ear: TrunkEar) -> None:
        if self.to is None:
            raise RoomsUnavailable("the switch is not connected yet")
        await self.to.place(call, ear)

    def forget(self, call_id: str) -> None:
        if self.to is not None:
            self.to.forget(call_id)


class RoomsBySip:
    """Fits ``video_rooms.ports.LegCarrier``. ``other``: who carries telephones otherwise."""

    def __init__(
        self,
        plan: RoomSipPlan,
        other: RoomWorkers | RoomsHere,
        server: RoomServer,
        desk: TrunkDesk,
        chances: Chances,
        clock: Clock,
    ) -> None:
        self._plan, self._other = plan, other
        self._server, self._chances, self._clock = server, chances, clock
        self._calls = LaterCalls()
        self.names = TrunkNames(chances.hexes)
        self.keeper = TrunkKeeper(desk, plan.trunks, lambda: clock.wall().timestamp(), keep=plan.keep)
        self._state = WorkerState(_number(plan.connection), pid=os.getpid(), restarts=0)
        self._worker: Worker | None = None
        self._door: SipDoor | None = None
        self._ladder: Ladder | None = None
        self._unbuffered = False
        self.placed: Counter[str] = Counter()
        """Legs given to whom: ``sip``, or ``bridge`` where the other carrier has them from the start."""

    @property
    def resting(self) -> bool:
        """Whether the service is left alone, since it failed a moment ago."""
        return self._door is not None and self._door.resting

    @property
    def joins(self) -> Mapping[tuple[str, str], int]:
        """As ``Ladder``'s."""
        return {} if self._ladder is None else self._ladder.joins

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """As ``Ladder``'s."""
        return {} if self._ladder is None else self._ladder.fallbacks

    @property
    def unbuffered(self) -> bool:
        """Whether the switch can be asked to keep no queue."""
        return self._unbuffered

    @unbuffered.setter
    def unbuffered(self, can: bool) -> None:
        self._unbuffered = self._other.unbuffered = can

    @property
    def states(self) -> tuple[WorkerState, ...]:
        if self._worker is not None:
            self._state.legs, self._state.late_ms = len(self._worker.bridge), self._worker.late_ms()
        return (*self._other.states, self._state)

    def identity(self, prefix: str) -> str:
        """A new identity in rooms. Telephones that call LiveKit's service have one that LiveKit makes alike,
        whichever way they come."""
        by_name = prefix == PHONE and not self._plan.called
        return self.names.identity() if by_name else prefix + self._chances.hexes(8)

    def attach(self, control: Actor) -> Callable[[Message], None]:
        """From now on calls can be made; who must hear of every event of the switch."""
        self._calls.to = SwitchedTrunkCalls(control)
        return self._calls.to.hear_message

    async def start(self) -> None:
        """Listen for the switch, and look after the trunks. Raises ``RoomsUnavailable``."""
        await self._other.start()
        self._worker = Worker(self._plan.connection, self._plan.music, self._way_in)
        try:
            self._state.port = await self._worker.start(self._plan.host, self._plan.port)
        except OSError as fault:
            await self._other.stop()
            raise RoomsUnavailable(f"the port for telephones in rooms: {fault}") from fault
        self.keeper.start()

    async def stop(self) -> None:
        self._state.port = 0
        if self._worker is not None:
            await self._worker.close()
        await self.keeper.stop()
        await self._other.stop()

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, *, room: str = "") -> str:
        by_sip = self._door is not None and self._door.open
        if self._worker is None or not (by_sip or self._plan.alone):
            self.placed["bridge"] += 1
            return await self._other.expect(leg_id, ear, within_s, room=room)
        self.placed["sip"] += 1
        self._worker.port.abilities = MediaAbilities(asks_unbuffered=self._unbuffered)
        return await self._worker.bridge.expect(leg_id, ear, within_s)

    def order(self, leg_id: str, order: LegOrder) -> None:
        """Whoever carries it does it; for anybody else's leg nothing happens."""
        if self._worker is not None:
            self._worker.bridge.order(leg_id, order)
        self._other.order(leg_id, order)

    def _way_in(self, port: SwitchPort, rooms: RoomDoor) -> RoomDoor:
        anchors = Anchors(rooms, self._server, self._chances, self._clock.wall)
        parts = DoorParts(
            port=port,
            calls=self._calls,
            keeper=self.keeper,
            server=self._server,
            anchors=anchors,
            names=self.names,
            chances=self._chances,
            mono=self._clock.mono,
            line=str(self._state.number) if self._plan.called else "",
            rests=not self._plan.alone,
        )
        self._door = SipDoor(parts)
        self._ladder = Ladder(self._door, rooms, alone=self._plan.alone)
        return self._ladder


def _number(connection: str) -> int:
    return int(connection.removeprefix("room"))


def with_sip(
    settings: Settings, secret: bytes, other: RoomWorkers | RoomsHere, around: SipSurroundings
) -> RoomWorkers | RoomsHere | RoomsBySip:
    """``other``, or, where a SIP service is configured, what brings telephones in by it. ``secret`` is the
    installation's; ``music`` a WAV file."""
    end = room_sip_end(settings, stored_secret, settings.var_dir)
    if end is None:
        return other
    plan = RoomSipPlan(
        trunks=trunk_plan(settings, end, secret),
        connection=f"room{max(1, settings.room_workers)}",
        host=settings.media_host,
        port=settings.room_media_port + max(1, settings.room_workers),
        music=around.music,
        alone=settings.room_carrier == "sip",
        keep=settings.room_sip_keep,
        called=settings.room_sip_way == "out",
    )
    return RoomsBySip(plan, other, around.server, around.desk, around.chances, around.clock)
