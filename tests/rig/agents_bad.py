"""Agents that misbehave, as socket servers, each in one way; and one that echoes, to compare.

They speak the native dialect or Media Streams, whichever the caller's first message is of. Use them with
``agent_servers.serving``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from gateway.trial.audio import ulaw_encode
from tests.rig.agent_servers import Behaviour, Socket

FRAME_S = 0.02
_MULAW_TONE = bytes((0x9E, 0x8E, 0x9E, 0xFF, 0x1E, 0x0E, 0x1E, 0x7F))
"""A tone of 1 kHz at 8 kHz, µ-law."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an agent is told: ``sound``, ``mark``, ``digit``, ``ending``, ``ended`` or another's type."""

    kind: str
    sound: bytes = b""
    name: str = ""


class Tongue:
    """One connection in whichever of the two dialects it is. ``frame`` is 20 ms of a tone."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.stream = ""
        self.frame = b""

    async def begin(self) -> None:
        """Take the call, and wait until the caller is there. Raises ``EOFError`` where that never comes."""
        first = json.loads(_text(await self.socket.next()))
        if first.get("event") == "connected":
            start = await self.socket.event("start", key="event")
            self.stream = start["streamSid"]
            self.frame = _MULAW_TONE * 20
            return
        sound = first["audio"]
        self.frame = tone(sound["codec"], sound["rate_hz"], 20)
        self.socket.send({"type": "session.ready"})
        await self.socket.event("session.answered")

    def sound(self, octets: bytes) -> None:
        if self.stream:
            media = {"payload": base64.b64encode(octets).decode()}
            self.socket.send({"event": "media", "streamSid": self.stream, "media": media})
        else:
            self.socket.send(octets)

    def mark(self, name: str) -> None:
        if self.stream:
            self.socket.send({"event": "mark", "streamSid": self.stream, "mark": {"name": name}})
        else:
            self.socket.send({"type": "mark", "name": name})

    async def hear(self) -> AsyncIterator[Heard]:
        async for message in self.socket:
            yield _heard(message)


def tone(codec: str, rate_hz: int, ms: int, hz: float = 1000.0) -> bytes:
    """A tone, of 1 kHz if nothing else is said; in A-law always."""
    if codec == "alaw" or (codec == "ulaw" and hz == 1000.0):
        return (_MULAW_TONE * (ms + 1))[: 8 * ms]
    samples = (round(6000 * math.sin(2 * math.pi * hz * n / rate_hz)) for n in range(rate_hz * ms // 1000))
    sound = array("h", samples).tobytes()
    return ulaw_encode(sound) if codec == "ulaw" else sound


def _text(message: str | bytes | None) -> str:
    if not isinstance(message, str):
        raise EOFError
    return message


def _heard(message: str | bytes) -> Heard:
    if isinstance(message, bytes):
        return Heard("sound", message)
    event: dict[str, Any] = json.loads(message)
    kind = event.get("event") or event.get("type", "")
    match kind:
        case "media":
            return Heard("sound", base64.b64decode(event["media"]["payload"]))
        case "mark":
            return Heard("mark", name=event["mark"]["name"])
        case "mark.reached":
            return Heard("mark", name=event["name"])
        case "dtmf":
            return Heard("digit", name=event.get("digit") or event["dtmf"]["digit"])
        case "session.ending" | "x-session-ending":
            return Heard("ending")
        case "session.ended" | "stop":
            return Heard("ended")
    return Heard(kind)


async def echo(socket: Socket) -> None:
    """Gives every frame back. The only one that behaves."""
    tongue = Tongue(socket)
    await tongue.begin()
    async for heard in tongue.hear():
        if heard.kind == "sound":
            tongue.sound(heard.sound)


async def talker(socket: Socket) -> None:
    """Speaks without end, at the pace of speech, whatever it hears."""
    await _speak(socket, pace=1.0)


async def flooder(socket: Socket) -> None:
    """Speaks ten times as fast as anybody can hear, without end."""
    await _speak(socket, pace=10.0)


async def slow_reader(socket: Socket) -> None:
    """Reads a little ten times a second: less than it is sent."""
    await Tongue(socket).begin()
    transport = socket.transport.underlying_transport
    while not socket.gone.is_set():
        transport.pause_reading()
        await asyncio.sleep(1.5)
        transport.resume_reading()
        await asyncio.sleep(0.001)


async def stopped(socket: Socket) -> None:
    """Takes the call and never reads again, as a process that was stopped."""
    await Tongue(socket).begin()
    socket.transport.underlying_transport.pause_reading()
    await socket.gone.wait()


async def half_open(socket: Socket) -> None:
    """Is gone without the network having said so: reads and answers nothing, from the first message on."""
    socket.transport.underlying_transport.pause_reading()
    await socket.gone.wait()


def random_closer(seed: int, most_s: float = 2.0) -> Behaviour:
    """Speaks, and is gone at some moment in some way: in good order, with an error, or without a word."""

    async def behave(socket: Socket) -> None:
        chance = random.Random(seed)
        tongue = Tongue(socket)
        speaking = asyncio.create_task(_speak(socket, pace=1.0, tongue=tongue))
        await asyncio.wait([speaking], timeout=chance.uniform(0.0, most_s))
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        code = chance.choice([1000, 1001, 1011, 4000, None])
        if code is None:
            socket.cut()
        else:
            socket.close(code)

    return behave


def late_marker(after_s: float) -> Behaviour:
    """Speaks a second at once and marks it long after that was heard."""

    async def behave(socket: Socket) -> None:
        tongue = Tongue(socket)
        await tongue.begin()
        while not socket.gone.is_set():
            tongue.sound(tongue.frame * 50)
            await asyncio.sleep(after_s)
            tongue.mark("late")

    return behave


async def wrong_rate(socket: Socket) -> None:
    """Sends its sound at twice the sampling rate that was agreed, at the pace of speech."""
    tongue = Tongue(socket)
    await tongue.begin()
    while not socket.gone.is_set():
        tongue.sound(tongue.frame * 2)
        await asyncio.sleep(FRAME_S)


async def malformed(socket: Socket) -> None:
    """Says what is in no dialect, over and over."""
    await Tongue(socket).begin()
    nonsense = [
        "",
        "{",
        "[]",
        '{"type":"say"}',
        '{"event":"media"}',
        '{"type":"transfer","to":"me"}',
        "\ud7ff",
    ]
    while not socket.gone.is_set():
        for text in nonsense:
            socket.send(text)
        await asyncio.sleep(FRAME_S)


async def never_ready(socket: Socket) -> None:
    """Accepts the connection, reads all, and never says a word."""
    await socket.gone.wait()


async def _speak(socket: Socket, *, pace: float, tongue: Tongue | None = None) -> None:
    tongue = tongue or Tongue(socket)
    await tongue.begin()
    loop = asyncio.get_running_loop()
    origin, sent = loop.time(), 0
    while not socket.gone.is_set():
        due = int((loop.time() - origin) * pace / FRAME_S)
        for _ in range(min(due - sent, 500)):
            tongue.sound(tongue.frame)
        sent = due
        await asyncio.sleep(FRAME_S)


BAD: dict[str, Behaviour] = {
    "talker": talker,
    "flooder": flooder,
    "slow_reader": slow_reader,
    "stopped": stopped,
    "half_open": half_open,
    "random_closer": random_closer(7),
    "late_marks": late_marker(3.0),
    "wrong_rate": wrong_rate,
    "malformed": malformed,
    "never_ready": never_ready,
}
