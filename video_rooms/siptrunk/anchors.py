"""Somebody in each room into which telephones come by SIP, who publishes silence.

LiveKit's SIP service lets a caller ring until somebody in the room publishes sound: without an anchor, nobody
could come into an empty room by telephone. It is of the kind ``agent`` and has no role, so that it counts
neither among those who fill the room nor on its roster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from video_rooms.core.leg import Join
from video_rooms.core.live import Grant
from video_rooms.core.room import Role
from video_rooms.ports import Chances, RoomServer
from video_rooms.ports_media import RoomDoor, RoomStay

_log = structlog.get_logger("rooms.trunk")
FRAME_S: Final = 0.02
_SILENCE: Final = bytes(640)
_NAME: Final = "Telephones"
_PASS_S: Final = 86_400


class _Anchor:
    """Fits ``StayEar``."""

    def __init__(self) -> None:
        self.holders = 0
        self.stay: RoomStay | None = None
        self.entering: asyncio.Task[None] | None = None
        self.speaks: asyncio.Task[None] | None = None

    def put_out(self, why: str) -> None:
        self.stay = None

    def track_muted(self, on: bool) -> None: ...

    def crowd(self) -> None: ...

    def voices(self) -> None: ...


class Anchors:
    """``door``: how rooms are entered otherwise."""

    def __init__(
        self, door: RoomDoor, server: RoomServer, chances: Chances, wall: Callable[[], datetime]
    ) -> None:
        self._door, self._server, self._chances, self._wall = door, server, chances, wall
        self._anchors: dict[str, _Anchor] = {}

    def __len__(self) -> int:
        return len(self._anchors)

    async def hold(self, room: str, url: str) -> None:
        """Have an anchor in this room until ``release``, as often as it is held. Raises ``NotAdmitted``; then
        it is not held."""
        anchor = self._anchors.setdefault(room, _Anchor())
        anchor.holders += 1
        try:
            if anchor.stay is None and (anchor.entering is None or anchor.entering.done()):
                anchor.entering = asyncio.create_task(self._enter(anchor, room, url), name="anchor-enters")
            if anchor.stay is None and anchor.entering is not None:
                await asyncio.shield(anchor.entering)  # why: an attempt at a room must not be broken off
        except BaseException:  # why: whoever was not let in holds nothing; it is raised on
            await self.release(room)
            raise

    async def _enter(self, anchor: _Anchor, room: str, url: str) -> None:
        stay = await self._door.enter(self._join(room, url), anchor, muted=False)
        if anchor.holders == 0:  # nobody has waited for it
            await stay.leave()
            return
        anchor.stay = stay
        anchor.speaks = anchor.speaks or asyncio.create_task(_speak(anchor), name="room-anchor")

    async def release(self, room: str) -> None:
        """One holder less; the last one's going ends it. Never raises."""
        anchor = self._anchors.get(room)
        if anchor is None:
            return
        anchor.holders -= 1
        if anchor.holders > 0:
            return
        del self._anchors[room]
        if anchor.speaks is not None:
            anchor.speaks.cancel()
        if anchor.stay is not None:
            await anchor.stay.leave()

    async def close(self) -> None:
        """Leave every room, those on their way in included."""
        for room, anchor in list(self._anchors.items()):
            if anchor.entering is not None:
                await asyncio.wait([anchor.entering])
            anchor.holders = 1
            await self.release(room)

    def _join(self, room: str, url: str) -> Join:
        now, identity = self._wall(), f"anchor_{self._chances.hexes(8)}"
        grant = Grant(
            room=room,
            identity=identity,
            name=_NAME,
            role=Role.AGENT,
            pass_id=self._chances.pass_id(now),
            expires_at=now + timedelta(seconds=_PASS_S),
            helper=True,
        )
        return Join(url, self._server.token(grant), identity)


async def _speak(anchor: _Anchor) -> None:
    """Say nothing, audibly: it keeps the sound of those who only listen flowing."""
    while True:
        if anchor.stay is not None:
            anchor.stay.say(_SILENCE)
        await asyncio.sleep(FRAME_S)
