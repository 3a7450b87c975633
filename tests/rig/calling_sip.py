"""What LiveKit's SIP service does with a call that it is asked to make, played against the switch's rules:
into the room first, then the call, and the sound of both ends until one of them ends it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from tests.rig.livekit import LiveKitRig
from tests.rig.livekit_sip import Asked
from tests.rig.pretend_switch import WebSocketChannel, dial_websocket
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.bridge.rtc_stay import RtcStay
from video_rooms.core.feed import Feed
from video_rooms.core.leg import Join
from video_rooms.core.mix import Mix
from video_rooms.core.sound import SILENCE

FORBIDDEN, OK = 403, 200
_NAME = re.compile(r"([0-7])([0-9a-f]{32})")
_ANSWER_S, _FRAME_S = 5.0, 0.02


@dataclass
class CallingSip:
    """``port``: where the switch brings media sockets; ``refuses``: the final of every call, ``silent``: it
    never answers, once it is in the room."""

    rig: LiveKitRig
    http: aiohttp.ClientSession
    port: Callable[[], int]
    password: str
    refuses: int = 0
    silent: bool = False
    channels: list[WebSocketChannel] = field(default_factory=list)
    rooms: RtcRooms = field(default_factory=RtcRooms)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, asked: Asked) -> int | None:
        """Raises ``NotAdmitted`` where the room does not let it in."""
        grants = {"kind": "sip", "name": asked.name, "attributes": asked.attributes}
        token = self.rig.token(asked.room, asked.identity, **grants, can_update_own_metadata=True)  # type: ignore[arg-type]
        line = _Line()
        stay = line.stay = await self.rooms.enter(
            Join(self.rig.url, token, asked.identity), line, muted=False
        )
        if self.silent:
            return None
        channel = None if self.refuses else await self.brings(asked)
        if channel is None:
            await stay.leave()
            return self.refuses or FORBIDDEN
        async with asyncio.timeout(_ANSWER_S):
            while not channel.answered:  # noqa: ASYNC110 - it is told to nobody
                await asyncio.sleep(0.005)
        task = asyncio.create_task(line.talks(channel))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return OK

    async def brings(self, asked: Asked) -> WebSocketChannel | None:
        """The switch (context ``from-rooms``): a socket by a name that works once, or nothing."""
        name = _NAME.fullmatch(asked.number)
        if name is None or (asked.user, asked.password) != ("room_sip", self.password):
            return None
        dialled = f"WebSocket/room{name[1]}/c(slin16)nf(json)/{name[2]}"
        channel = await dial_websocket(self.http, ("127.0.0.1", self.port()), dialled)
        if channel is not None:
            self.channels.append(channel)
        return channel

    async def close(self) -> None:
        for channel in self.channels:
            await channel.hangs_up()
        await asyncio.gather(*self.tasks)
        await self.rooms.close()


class _Line:
    """One participant's sound. Fits ``StayEar``."""

    def __init__(self) -> None:
        self.stay: RtcStay | None = None
        self._out = False
        self._feeds: dict[str, Feed] = {}
        self._mix = Mix()
        self._mix.enter(self._feeds, "")

    def put_out(self, why: str) -> None:
        self._out = True

    def track_muted(self, on: bool) -> None: ...

    def crowd(self) -> None: ...

    def voices(self) -> None:
        for track in self.stay.published if self.stay is not None else ():
            if self.stay is not None and track not in self._feeds:
                feed = self._feeds[track] = Feed()
                self.stay.fetch(track)
                self.stay.hear(track, feed.push)

    async def talks(self, channel: WebSocketChannel) -> None:
        """Until one of the ends ends it; then neither is left."""
        assert self.stay is not None
        self.voices()
        loop = asyncio.get_running_loop()
        due, at = loop.time(), len(channel.heard)
        with contextlib.suppress(ConnectionError):
            while channel.up and not self._out:
                frame, _ = self._mix.frame()
                await channel.says(frame or SILENCE)
                said = channel.heard[at:]
                at += len(said)
                for one in said:
                    self.stay.say(one or SILENCE)
                due += _FRAME_S
                await asyncio.sleep(max(0.0, due - loop.time()))
        await channel.hangs_up()
        await self.stay.leave()
