"""What LiveKit's SIP service does with a call that it is asked to make, played against the switch's rules:
into the room first, then the call, and the sound of both ends until one of them ends it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from tests.rig.livekit import LiveKitRig
from tests.rig.livekit_sip import Asked
from tests.rig.pretend_switch import WebSocketChannel, dial_websocket
from tests.rig.sip_line import SipLine
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.bridge.rtc_stay import RtcStay
from video_rooms.core.leg import Join

FORBIDDEN, OK = 403, 200
_NAME = re.compile(r"([0-7])([0-9a-f]{32})")
_ANSWER_S = 20.0


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
        line = SipLine()
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
        task = asyncio.create_task(_talk(line, stay, channel))
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


async def _talk(line: SipLine, stay: RtcStay, channel: WebSocketChannel) -> None:
    """Until one of the ends ends it; then neither is left."""
    await line.talks(channel)
    await channel.hangs_up()
    await stay.leave()
