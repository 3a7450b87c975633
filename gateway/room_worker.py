"""Carries telephones into rooms: the bridge, and the media port that the switch brings their sound to.

``python -m gateway.room_worker FD LEVEL`` is one worker process: orders come and facts go as lines over the
socket of this number. It ends when that closes, so it never outlives its gateway. The library of the media
server runs threads that an interpreter which shuts down would break off, and abort; so the process leaves
without that, once everything is in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from gateway import logs
from gateway.collecting import leave_what_is_loaded
from gateway.runtime.children import end_with_parent
from telephony.errors import RoomsUnavailable
from video_rooms.bridge.carrier import Bridge
from video_rooms.bridge.rtc_rooms import RtcRooms
from video_rooms.bridge.sounds import SoundShelf
from video_rooms.core.leg import LegFact
from video_rooms.core.leg_lines import (
    LONGEST,
    Alive,
    Begin,
    Do,
    Expect,
    FromWorker,
    Garbled,
    Listening,
    Ready,
    Stop,
    Told,
    line,
    to_worker,
)
from video_rooms.ports_media import RoomDoor, SwitchEar, SwitchPort
from voice_agents.core.audio import Codec
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.wire.asterisk import MediaAbilities

_log = structlog.get_logger("gateway.room_worker")
ALIVE_S = 1.0
_UNREAD = 4_000_000
_RARE_ROUNDS = (20_000, 20, 100)
"""Octets that the gateway may leave unread before it counts as gone."""


class RoomPort:
    """Fits ``video_rooms.ports_media.SwitchPort``: a media port of the house, at the rate of rooms."""

    def __init__(self, port: WebSocketPort) -> None:
        self._port = port

    def dial_string(self, token: str) -> str:
        return self._port.dial_string(token, Codec.SLIN16)

    def expect(self, token: str, ear: SwitchEar, within_s: float) -> None:
        self._port.expect(token, Codec.SLIN16, ear, within_s)

    def forget(self, token: str) -> None:
        self._port.forget(token)


WayIn = Callable[[SwitchPort, RoomDoor], RoomDoor]


class Worker:
    """A bridge with its own port, on the running loop. ``way_in``: how rooms are entered, made of that port
    and of the usual way; None: that one."""

    def __init__(self, connection: str, music: Path | None, way_in: WayIn | None = None) -> None:
        self.port = WebSocketPort(MediaAbilities(), connection=connection)
        self.rooms = RtcRooms()
        port = RoomPort(self.port)
        door = self.rooms if way_in is None else way_in(port, self.rooms)
        self.bridge = Bridge(port, door, SoundShelf(music))

    async def start(self, host: str, port: int) -> int:
        """Listen for the switch; the port, a free one for 0. Raises ``OSError``."""
        return (await self.port.start(host, port))[1]

    async def close(self) -> None:
        """All legs end, all rooms are left."""
        await self.bridge.close()
        await self.port.close()

    def late_ms(self) -> int:
        """How late the clock of all sound was at worst since this was asked last."""
        worst, self.port.lateness.worst_ms = self.port.lateness.worst_ms, 0.0
        return round(worst)


class _Line:
    """The socket to the gateway; fits ``LegEar``."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def say(self, message: FromWorker) -> None:
        self._writer.write(line(message))
        if self._writer.transport.get_write_buffer_size() > _UNREAD:
            self._writer.transport.abort()

    def heard(self, leg_id: str, fact: LegFact) -> None:
        self.say(Told(leg_id, fact))


async def serve(sock: socket.socket) -> None:
    """Carry legs until told to stop, or until the gateway is gone."""
    reader, writer = await asyncio.open_connection(sock=sock, limit=LONGEST)
    to_gateway = _Line(writer)
    begin = to_worker(await reader.readline())
    if not isinstance(begin, Begin):
        raise Garbled
    worker = Worker(begin.connection, Path(begin.music) if begin.music else None)
    to_gateway.say(Listening(await worker.start(begin.host, begin.port)))
    signs = asyncio.create_task(_live(worker, to_gateway))
    try:
        while text := await reader.readline():
            message = to_worker(text)
            if isinstance(message, Stop):
                break
            await _obey(worker, to_gateway, message)
    finally:
        await worker.close()
        signs.cancel()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await writer.drain()
        writer.close()


async def _obey(worker: Worker, to_gateway: _Line, message: object) -> None:
    match message:
        case Do(leg, order):
            worker.bridge.order(leg, order)
        case Expect(number, leg, within_s, unbuffered):
            worker.port.abilities = MediaAbilities(asks_unbuffered=unbuffered)
            try:
                dial = await worker.bridge.expect(leg, to_gateway, within_s)
            except RoomsUnavailable:
                dial = ""
            to_gateway.say(Ready(number, dial))
        case _:
            raise Garbled


async def _live(worker: Worker, to_gateway: _Line) -> None:
    while True:
        to_gateway.say(Alive(len(worker.bridge), worker.late_ms()))
        await asyncio.sleep(ALIVE_S)


def main(arguments: list[str]) -> int:
    """0 once all is in order."""
    fd, level = int(arguments[0]), arguments[1]
    end_with_parent()  # one that was gone before has closed the socket
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the gateway decides when this ends
    logs.configure(level)
    leave_what_is_loaded(_RARE_ROUNDS)
    sys.setswitchinterval(
        0.001
    )  # sound comes on the library's threads: they must not wait long for the loop's
    try:
        uvloop.run(serve(socket.socket(fileno=fd)))
    except (Garbled, OSError, ValueError, RoomsUnavailable) as fault:
        _log.error("room_worker_failed", why=f"{type(fault).__name__}: {fault}")
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
