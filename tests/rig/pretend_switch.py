"""The switch's side of the media ports, played: what Asterisk 22.10.1 does with a dial string of ours.

``heard`` is what the caller would hear, frame by frame in the leg's codec, None where a tick found nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections import deque
from typing import Protocol

import aiohttp

from voice_agents.core.audio import Codec, codec_named
from voice_agents.core.sound import from_linear, to_linear
from voice_agents.wire.audiosocket import HANG_UP, PacketReader, Sound, kind_of, sound_packet

_LONGEST_TEXT = 128
_TICK_S = 0.020
_LET_IN_S = 20.0


class Channel(Protocol):
    """One channel of the switch that was dialled to a port."""

    heard: list[bytes | None]
    answered: bool
    up: bool

    async def says(self, frame: bytes) -> None: ...

    async def presses(self, digit: str) -> None: ...

    async def hangs_up(self) -> None: ...


class WebSocketChannel:
    """``chan_websocket``: a queue, one frame a tick, marks in the queue, a flush that eats them."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, codec: Codec, token: str) -> None:
        self.ws, self.codec, self.token = ws, codec, token
        self.heard: list[bytes | None] = []
        self.commands: list[str] = []
        self.too_long: list[str] = []
        self.answered, self.up = False, True
        self.most = 0
        self.plays = True
        self.told = asyncio.Event()
        """Whether it was let in is known: silence comes at once, or the end does."""
        self._queue = deque[bytes | str]()
        self._paused = False
        self._tasks = [asyncio.create_task(self._reads()), asyncio.create_task(self._ticks())]

    async def starts(self, **changes: object) -> None:
        """MEDIA_START."""
        start = {"channel_id": "1763.1", "format": self.codec.asterisk, "ptime": 20}
        start |= {"optimal_frame_size": self.codec.frame_bytes}
        start |= {"channel_variables": {"MEDIA_WEBSOCKET_CONNECTION_ID": "x", "PB_SOCKET": self.token}}
        await self.tells("MEDIA_START", **(start | changes))

    async def tells(self, event: str, **more: object) -> None:
        with contextlib.suppress(ConnectionError):
            await self.ws.send_str(json.dumps({"event": event, **more}))

    async def says(self, frame: bytes) -> None:
        await self.ws.send_bytes(frame)

    async def presses(self, digit: str) -> None:
        await self.tells("DTMF_END", channel_id="1763.1", digit=digit)

    async def hangs_up(self) -> None:
        self.up = False
        await self.ws.close()
        for task in self._tasks:
            task.cancel()

    async def _reads(self) -> None:
        async for message in self.ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.told.set()
                self._queue.append(message.data)
                self.most = max(self.most, self._held())
            elif message.type is aiohttp.WSMsgType.TEXT:
                await self._obeys(message.data)
        self.up = False
        self.told.set()

    async def _obeys(self, text: str) -> None:
        if len(text.encode()) > _LONGEST_TEXT:
            self.too_long.append(text)
            return
        order = json.loads(text)
        self.commands.append(order["command"])
        match order["command"]:
            case "ANSWER":
                self.answered = True
            case "HANGUP":
                await self.hangs_up()
            case "MARK_MEDIA":
                self._queue.append(order["correlation_id"])
            case "FLUSH_MEDIA":
                self._queue.clear()
            case "PAUSE_MEDIA" | "CONTINUE_MEDIA" as name:
                self._paused = name == "PAUSE_MEDIA"
            case "GET_STATUS":
                await self.tells("STATUS", queue_length=self._held(), media_paused=self._paused)

    async def _ticks(self) -> None:
        due = time.monotonic()
        while True:
            due += _TICK_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.plays:
                await self._tick()

    async def _tick(self) -> None:
        played: bytes | None = None
        while self._queue and not self._paused and played is None:
            head = self._queue.popleft()
            if isinstance(head, bytes):
                played = head
            else:
                await self.tells("MEDIA_MARK_PROCESSED", correlation_id=head)
        self.heard.append(played)

    def _held(self) -> int:
        return sum(isinstance(one, bytes) for one in self._queue)


class AudioSocketChannel:
    """``chan_audiosocket``: what comes is played as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, codec: Codec) -> None:
        self.codec, self.writer = codec, writer
        self.heard: list[bytes | None] = []
        self.answered, self.up = True, True
        self.told = asyncio.Event()
        """Whether it was let in is known: silence comes at once, or the end does."""
        self._reader, self._packets = reader, PacketReader()
        self._task = asyncio.create_task(self._reads())

    async def says(self, frame: bytes) -> None:
        await self._writes(sound_packet(kind_of(self.codec), to_linear(self.codec, frame)))

    async def presses(self, digit: str) -> None:
        await self._writes(b"\x03\x00\x01" + digit.encode())

    async def hangs_up(self) -> None:
        self.up = False
        with contextlib.suppress(ConnectionError):
            await self._writes(HANG_UP)
        self.writer.close()

    async def _writes(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def _reads(self) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await self._reader.read(65_536):
                for packet in self._packets.feed(octets):
                    self.told.set()
                    if isinstance(packet, Sound):
                        self.heard.append(from_linear(self.codec, packet.pcm))
                    else:
                        await self.hangs_up()
        self.up = False
        self.told.set()


async def dial_websocket(
    http: aiohttp.ClientSession, address: tuple[str, int], dialled: str, *, starts: bool = True
) -> WebSocketChannel | None:
    """Dial(WebSocket/…), the token in the channel's variable; None where it was not let in."""
    found = re.fullmatch(r"WebSocket/(?:patchbay|room\d)/c\((\w+)\)nu?f\(json\)/([\w-]+)", dialled)
    assert found is not None, dialled
    url = f"ws://{address[0]}:{address[1]}/media"
    ws = await http.ws_connect(url, protocols=("media",), autoping=True)
    assert ws.protocol == "media"
    channel = WebSocketChannel(ws, codec_named(found[1]), found[2])
    if starts:
        await channel.starts()
        await asyncio.wait_for(channel.told.wait(), _LET_IN_S)
    return channel if channel.up else None


async def dial_audiosocket(dialled: str, codec: Codec) -> AudioSocketChannel | None:
    """Dial(AudioSocket/…); None where it was not let in."""
    _, address, text, _ = dialled.split("/")
    host, _, port = address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x01\x00\x10" + uuid.UUID(text).bytes)
    channel = AudioSocketChannel(reader, writer, codec)
    await asyncio.wait_for(channel.told.wait(), _LET_IN_S)
    return channel if channel.up else None
