"""A real LiveKit server for tests, on free loopback ports, and everything that it reports.

The fixture ``livekit`` (in tests/conftest.py) is one for the whole run; rooms are named apart by
``LiveKitRig.name``. Tests that kill a server take one of their own by ``running_livekit``.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from livekit import api

from gateway.config import Settings
from gateway.config_rooms import RoomServerAddress
from gateway.runtime.livekit import EmbeddedLiveKit, LiveKitPlan, installation_secret
from gateway.runtime.livekit_program import NO_ROOMS, find_livekit
from gateway.runtime.ports import free_port, free_ports
from gateway.runtime.programs import Program

_NAMES = itertools.count(1)


def livekit_program() -> Program:
    """The server's program; where there is none, the test is skipped and says why."""
    said: list[str] = []
    found = find_livekit(Settings.from_env(os.environ), said.append)
    if found is None:
        pytest.skip("; ".join([*said, f"no livekit-server (make runtime builds it where Go is): {NO_ROOMS}"]))
    return found


@dataclass(frozen=True, slots=True)
class Report:
    """One report as the server posted it."""

    body: bytes
    authorization: str
    content_type: str

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def is_of(self, event: str, room: str, identity: str | None = None) -> bool:
        told = self.told
        same = told.get("event") == event and told.get("room", {}).get("name") == room
        return same and identity in (None, told.get("participant", {}).get("identity"))


@dataclass(slots=True)
class Hooks:
    """What the server posted, in order. ``answer`` is the status it gets."""

    reports: list[Report] = field(default_factory=list)
    answer: int = 200
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        report = Report(body, request.headers.get("Authorization", ""), request.content_type)
        async with self._came:
            self.reports.append(report)
            self._came.notify_all()
        return web.Response(status=self.answer)

    async def until(self, event: str, room: str, identity: str | None = None, within_s: float = 30) -> Report:
        """The first report of this event in this room (of this person)."""

        def found() -> Report | None:
            return next((r for r in self.reports if r.is_of(event, room, identity)), None)

        try:
            async with asyncio.timeout(within_s), self._came:
                return await self._came.wait_for(found)  # type: ignore[return-value]
        except TimeoutError:
            seen = [r.told["event"] for r in self.reports if r.told.get("room", {}).get("name") == room]
            raise AssertionError(
                f"no {event} of {identity or 'anybody'} in {within_s} s; came: {seen}"
            ) from None


@dataclass(slots=True)
class LiveKitRig:
    """A running server. ``control`` is LiveKit's own client, for looking at it from outside of our code."""

    server: EmbeddedLiveKit
    address: RoomServerAddress
    hooks: Hooks
    control: api.LiveKitAPI

    @property
    def url(self) -> str:
        return self.address.url

    @staticmethod
    def name(stem: str = "room") -> str:
        """A room's name that no other test has."""
        return f"{stem}-{os.getpid()}-{next(_NAMES)}"

    def token(
        self,
        room: str,
        identity: str,
        *,
        name: str = "",
        ttl_s: float = 600,
        kind: str = "standard",
        attributes: dict[str, str] | None = None,
        **grants: Any,
    ) -> str:
        """A token made without our code; ``grants`` are fields of ``api.VideoGrants``."""
        made = api.AccessToken(self.address.key, self.address.secret.reveal())
        made.with_identity(identity).with_name(name or identity).with_kind(kind)  # type: ignore[arg-type]
        made.with_attributes(attributes or {}).with_ttl(datetime.timedelta(seconds=ttl_s))
        return made.with_grants(api.VideoGrants(room_join=True, room=room, **grants)).to_jwt()

    async def create(self, name: str | None = None, **fields: Any) -> str:
        """Make a room; its name."""
        made = await self.control.room.create_room(api.CreateRoomRequest(name=name or self.name(), **fields))
        return str(made.name)

    async def delete(self, name: str) -> None:
        await self.control.room.delete_room(api.DeleteRoomRequest(room=name))

    async def people(self, name: str) -> list[api.ParticipantInfo]:
        listed = await self.control.room.list_participants(api.ListParticipantsRequest(room=name))
        return list(listed.participants)

    async def until_people(
        self, name: str, holds: Callable[[list[api.ParticipantInfo]], bool], within_s: float = 30
    ) -> list[api.ParticipantInfo]:
        """Who is in the room, once that is as wanted."""
        seen: list[api.ParticipantInfo] = []
        try:
            async with asyncio.timeout(within_s):
                while True:
                    seen = await self.people(name)
                    if holds(seen):
                        return seen
                    await asyncio.sleep(0.02)
        except TimeoutError:
            told = [(p.identity, p.state, len(p.tracks)) for p in seen]
            raise AssertionError(f"the people of {name} are not as wanted in {within_s} s: {told}") from None


@asynccontextmanager
async def running_livekit(
    base: Path, *, hooks: tuple[str, ...] = (), redis: str | None = None, restart: bool = True
) -> AsyncIterator[LiveKitRig]:
    """Start a server and a receiver of its reports (besides ``hooks``), and end both afterwards."""
    program = livekit_program()
    heard = Hooks()
    receiver = web.Application()
    receiver.router.add_post("/hook", heard.take)
    runner = web.AppRunner(receiver)
    await runner.setup()
    try:
        (http, hook_port), udp = free_ports(2), free_port(kind=socket.SOCK_DGRAM)
        await web.TCPSite(runner, "127.0.0.1", hook_port).start()
        plan = LiveKitPlan(http, udp, (f"http://127.0.0.1:{hook_port}/hook", *hooks), redis)
        server = EmbeddedLiveKit(program, base / "livekit", plan, installation_secret(base), restart=restart)
        address = await server.start()
        try:
            async with api.LiveKitAPI(
                address.url, address.key, address.secret.reveal(), failover=False
            ) as control:
                yield LiveKitRig(server, address, heard, control)
        finally:
            await server.stop()
    finally:
        await runner.cleanup()
