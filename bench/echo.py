"""Round trips of a caller's sound, measured in its RTP: for benchmarks of agents.

Callers send frames whose number is in the sound itself (µ-law goes end to end without a change), each 20 ms
by a clock that does not drift, and look for the numbers in what comes back. The far end is the switch's own
``Echo()``, a bare echo behind ``chan_websocket``, or an agent's echo behind a media port. Far ends run in
processes of their own: ``python -m bench.echo bare`` and ``python -m bench.echo port``, each told what to
do by lines on its standard input.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from bench.rig import Cpu, cpu_of
from gateway.trial.rtp import Packet, RtpStream, pack
from gateway.trial.sdp import PCMU
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from voice_agents.core.audio import Codec
from voice_agents.media.websocket_port import WebSocketPort
from voice_agents.ports import MediaLeg
from voice_agents.wire.asterisk import abilities_of

_HEADER = struct.Struct("!BBHII")
_MARK = b"PB"
_FILLER = b"\x35" * 148
_FRAME_S = 0.020
_PHRASE, _SPOKEN = 150, 100
"""Frames of a phrase with its pause, and of the phrase: as people speak, two seconds and a breath."""
CALLER = "+14155550101"


def stamped(number: int) -> bytes:
    """A frame of sound that says its number."""
    return _MARK + b"%010d" % number + _FILLER


def number_in(payload: bytes) -> int:
    """The number in a frame; -1 where there is none."""
    return int(payload[2:12]) if payload[:2] == _MARK else -1


# ---------------------------------------------------------------- callers


@dataclass(slots=True)
class Trip:
    """One caller's round trips: ``rtts`` in ms, ``steps`` between packets in samples of RTP time."""

    call: OutgoingCall
    rtts: list[float] = field(default_factory=list)
    seen: list[tuple[float, int]] = field(default_factory=list)
    holes: int = 0
    packets: int = 0
    counts: bool = False
    keeps: bool = False
    _sent: dict[int, float] = field(default_factory=dict)
    _next: int = 0
    _timestamp: int | None = None

    def begin(self) -> None:
        """Take the stream over from the simulated phone."""
        self.call.stream.mute = True
        self.call.stream.datagram_received = self._came  # type: ignore[method-assign,assignment]

    def step(self) -> None:
        """Send one frame: of a phrase, or of the pause after it."""
        stream = self.call.stream
        number, self._next = self._next, self._next + 1
        speaks = number % _PHRASE < _SPOKEN
        sound = stamped(number) if speaks else Codec.ULAW.silence
        send(stream, Packet(PCMU, number % 65536, number * 160 % 2**32, 7, sound, number == 0))
        if speaks:
            self._sent[number] = time.monotonic()
            self._sent.pop(number - 200, None)

    def _came(self, octets: bytes, _: object) -> None:
        now = time.monotonic()
        if len(octets) != 172:
            return
        timestamp = _HEADER.unpack_from(octets)[3]
        number = number_in(octets[12:24])
        if self.counts:
            self.packets += 1
            self.holes += self._timestamp is not None and timestamp - self._timestamp not in (
                160,
                160 - 2**32,
            )
        self._timestamp = timestamp
        if self.keeps:
            self.seen.append((now, number))
        began = self._sent.pop(number, None)
        if began is not None and self.counts:
            self.rtts.append((now - began) * 1000)


def send(stream: RtpStream, packet: Packet) -> None:
    """One packet on the stream's own socket."""
    transport, to = stream._transport, stream._to
    if transport is not None and to is not None:
        transport.sendto(pack(packet), (to.host, to.port))


class Callers:
    """Callers of one phone, each sending every 20 ms, spread over the 20 ms."""

    def __init__(self, phone: SipPhone, sip: tuple[str, int]) -> None:
        self._phone, self._sip = phone, sip
        self.trips: list[Trip] = []
        self._task: asyncio.Task[None] | None = None

    async def call(self, dialled: list[str], number: str = "+15550001000") -> list[Trip]:
        """Place these calls, ten at a time; each begins to send once it is answered."""
        made: list[Trip] = []
        for group in _groups(dialled):
            calls = [self._phone.call(self._dial(text, number)) for text in group]
            await asyncio.gather(*(call.reaches(CallState.ANSWERED, within_s=15.0) for call in calls))
            made += [Trip(call) for call in calls]
            for trip in made[-len(calls) :]:
                trip.begin()
            self.trips += made[-len(calls) :]
            if self._task is None:
                self._task = asyncio.create_task(self._run())
        return made

    def _dial(self, text: str, number: str) -> Dial:
        return Dial(number, self._sip, CALLER, headers=(("X-Dial", text),), mute=True)

    async def _run(self) -> None:
        due = time.monotonic()
        for quarter in itertools.count():
            due += _FRAME_S / 4
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for trip in self.trips[quarter % 4 :: 4]:
                trip.step()

    async def measure(self, seconds: float, settle_s: float = 2.0) -> None:
        """Let all run for a while, and count what comes then."""
        await asyncio.sleep(settle_s)
        for trip in self.trips:
            trip.counts = True
        await asyncio.sleep(seconds)
        for trip in self.trips:
            trip.counts = False

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.gather(*(trip.call.hang_up() for trip in self.trips))
        self.trips.clear()


def _groups(texts: list[str], size: int = 10) -> list[list[str]]:
    return [texts[at : at + size] for at in range(0, len(texts), size)]


# ---------------------------------------------------------------- far ends, seen from the benchmark


class FarEnd:
    """A far end's process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process, self.port = process, port

    @property
    def cpu(self) -> Cpu:
        return cpu_of(self._process.pid)

    @property
    def memory_kb(self) -> int:
        """Resident memory (proc(5))."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    async def ask(self, order: str) -> Any:
        """One order, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(order.encode() + b"\n")
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), 30.0))


@asynccontextmanager
async def far_end(kind: str) -> AsyncIterator[FarEnd]:
    """``bare`` or ``port``, ended afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.echo",
        kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdout is not None
    try:
        yield FarEnd(process, int(await asyncio.wait_for(process.stdout.readline(), 30.0)))
    finally:
        process.kill()
        await process.wait()


# ---------------------------------------------------------------- far ends, in their own process


class _BareEcho(WSListener):
    """What comes goes back at once: nothing can be faster behind ``chan_websocket``."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def _bare(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "media"})
    return WSUpgradeResponseWithListener(response, _BareEcho())


@dataclass(slots=True, eq=False)
class _Agent:
    """An agent that echoes, or does what ``hears`` says."""

    leg: MediaLeg | None = None
    task: asyncio.Task[None] | None = None
    flushed: list[float] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    says: Callable[[_Agent], Any] | None = None

    def arrived(self, leg: MediaLeg) -> None:
        self.leg = leg
        leg.answer()
        if self.says is not None:
            self.task = asyncio.get_running_loop().create_task(self.says(self))

    def audio(self, frame: bytes) -> None:
        if self.leg is not None and self.says is None:
            self.leg.play(frame)

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None:
        if self.task is not None:
            self.task.cancel()


async def _interrupted(agent: _Agent) -> None:
    """Talks without end and is cut off each 400 ms; each time its frames have another number."""
    assert agent.leg is not None
    await asyncio.sleep(1.0)
    for turn in itertools.count():
        for _ in range(100):
            agent.leg.play(stamped(turn))
        await asyncio.sleep(0.4)
        agent.flushed.append(time.monotonic())
        agent.leg.flush()


async def _fast(agent: _Agent) -> None:
    """Speaks at 50.1 frames a second, two seconds of speech and one of silence."""
    assert agent.leg is not None
    began, sent = time.monotonic(), 0
    while True:
        await asyncio.sleep(max(0.0, began + sent / 50.1 - time.monotonic()))
        agent.leg.play(stamped(sent) if sent % _PHRASE < _SPOKEN else Codec.ULAW.silence)
        agent.levels.append(agent.leg.queued_ms)
        sent += 1


_KINDS: dict[str, Callable[[_Agent], Any] | None] = {"echo": None, "talker": _interrupted, "fast": _fast}


async def _serve(kind: str) -> None:
    loop = asyncio.get_running_loop()
    port = WebSocketPort(abilities_of((22, 10, 1)))
    agents: list[_Agent] = []
    if kind == "bare":
        server = await ws_create_server(_bare, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
    else:
        print((await port.start("127.0.0.1", 0))[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        match line:
            case ["expect", name, count]:
                tokens = [secrets.token_hex(12) for _ in range(int(count))]
                for token in tokens:
                    agents.append(_Agent(says=_KINDS[name]))
                    port.expect(token, Codec.ULAW, agents[-1], 120.0)
                answer: object = [port.dial_string(token, Codec.ULAW) for token in tokens]
            case ["tell"]:
                late = port.lateness
                answer = {
                    "flushed": [agent.flushed for agent in agents],
                    "levels": [agent.levels for agent in agents],
                    "late": late.counts,
                    "worst_ms": late.worst_ms,
                }
                agents = [agent for agent in agents if agent.task is None or not agent.task.done()]
            case _:
                answer = None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
