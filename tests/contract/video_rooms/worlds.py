"""The same doings in two worlds: a media server in memory, and a real LiveKit server with people in it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

from livekit import rtc

from gateway.clocks import SystemClock
from telephony.clock import Clock
from tests.rig.livekit import LiveKitRig
from tests.rig.visitors import Visitor, visitor
from video_rooms.core.live import Grant, LivePerson, MediaKind
from video_rooms.core.room import Role
from video_rooms.fakes import Delivery, FakeRoomServer, TurnedAway
from video_rooms.livekit.control import LiveKitAddress, LiveKitRooms
from video_rooms.ports import RoomServer

_PASSES = itertools.count(1)


class Guest(Protocol):
    """Somebody in a room."""

    async def publish(self, kind: MediaKind) -> None: ...

    async def may_publish(self) -> bool: ...

    async def unmute(self) -> None: ...

    async def until_out(self) -> None: ...

    async def until_sent(self, count: int) -> list[tuple[bytes, str]]:
        """The packets that the server sent, once there are so many."""
        ...


class World(Protocol):
    server: RoomServer
    clock: Clock

    def room(self) -> str: ...

    def inside(self, token: str) -> AbstractAsyncContextManager[Guest]:
        """Come in. Raises Refused."""
        ...

    async def delivery(self, event: str, room: str, identity: str | None = None) -> Delivery: ...


class Refused(Exception):
    """Somebody was not let in."""


def grant(clock: Clock, room: str, identity: str, **fields: object) -> Grant:
    """Ten minutes for a participant."""
    told: dict[str, object] = {
        "name": identity.title(),
        "role": Role.PARTICIPANT,
        "pass_id": f"01J{next(_PASSES):023}",
        "expires_at": clock.wall() + timedelta(minutes=10),
        **fields,
    }
    return Grant(room=room, identity=identity, **told)  # type: ignore[arg-type]


# ---------------------------------------------------------------- in memory


class MemoryGuest:
    def __init__(self, server: FakeRoomServer, room: str, person: LivePerson) -> None:
        self._server, self._room, self._person = server, room, person

    async def publish(self, kind: MediaKind) -> None:
        source = "microphone" if kind == "audio" else "camera"
        self._server.publish(self._room, self._person.identity, kind, source)

    async def may_publish(self) -> bool:
        try:
            await self.publish("audio")
        except PermissionError:
            return False
        return True

    async def unmute(self) -> None:
        self._server.unmute(self._room, self._person.identity)

    async def until_out(self) -> None:
        here = await self._server.people(self._room)
        assert self._person.sid not in {person.sid for person in here}

    async def until_sent(self, count: int) -> list[tuple[bytes, str]]:
        mine = [
            (s.payload, s.topic)
            for s in self._server.sent
            if s.room == self._room and (not s.to or self._person.identity in s.to)
        ]
        assert len(mine) == count
        return mine


class MemoryWorld:
    def __init__(self) -> None:
        self.clock = SystemClock()
        self.server = FakeRoomServer(self.clock)
        self._names = itertools.count(1)

    def room(self) -> str:
        return f"room-{next(self._names)}"

    @asynccontextmanager
    async def inside(self, token: str) -> AsyncIterator[Guest]:
        try:
            person = self.server.come_in(token)
        except TurnedAway as refusal:
            raise Refused from refusal
        room = self.server.grant_of(token).room
        yield MemoryGuest(self.server, room, person)
        now = {p.identity: p.sid for p in await self.server.people(room)}
        if now.get(person.identity) == person.sid:
            self.server.leave(room, person.identity)

    async def delivery(self, event: str, room: str, identity: str | None = None) -> Delivery:
        for delivery in self.server.deliveries:
            told = self.server.heard(delivery.body, delivery.authorization)
            assert told is not None
            same = told.what == event and told.room is not None and told.room.name == room
            if same and (identity is None or (told.person is not None and told.person.identity == identity)):
                return delivery
        raise AssertionError(f"no {event} of {room}")


# ---------------------------------------------------------------- at a real server


class RealGuest:
    def __init__(self, here: Visitor) -> None:
        self._here = here

    async def publish(self, kind: MediaKind) -> None:
        await (self._here.speak(440) if kind == "audio" else self._here.show(120))

    async def may_publish(self) -> bool:
        """As the server told them: an attempt would be met with ten seconds of silence."""
        return bool(self._here.room.local_participant.permissions.can_publish)

    async def unmute(self) -> None:
        """Once they know that they are muted."""
        mine = self._here.room.local_participant.track_publications
        await self._here.until(lambda: any(track.muted for track in mine.values()), what="told of the mute")
        self._here.mute(False)

    async def until_out(self) -> None:
        async with asyncio.timeout(20):
            await asyncio.shield(self._here.left)

    async def until_sent(self, count: int) -> list[tuple[bytes, str]]:
        await self._here.until(lambda: len(self._here.packets) >= count, what=f"sent {count} packets")
        return [(packet.payload, packet.topic or "") for packet in self._here.packets]


class RealWorld:
    def __init__(self, rig: LiveKitRig) -> None:
        self.clock: Clock = SystemClock()
        self._rig = rig
        self.server = LiveKitRooms(address_of(rig), self.clock)

    def room(self) -> str:
        return self._rig.name()

    @asynccontextmanager
    async def inside(self, token: str) -> AsyncIterator[Guest]:
        entered = False
        try:
            async with visitor(self.server.url, token) as here:
                entered = True
                yield RealGuest(here)
        except rtc.ConnectError as refusal:
            if entered:
                raise
            raise Refused from refusal

    async def delivery(self, event: str, room: str, identity: str | None = None) -> Delivery:
        report = await self._rig.hooks.until(event, room, identity)
        assert report.content_type == "application/webhook+json"
        return Delivery(report.body, report.authorization)


def address_of(rig: LiveKitRig) -> LiveKitAddress:
    address = rig.address
    return LiveKitAddress(address.url, address.key, address.secret.reveal())


def soon(clock: Clock, seconds: float) -> datetime:
    return clock.wall() + timedelta(seconds=seconds)
