"""What the benchmark of rooms runs on: the whole product with its own LiveKit server, telephones, and people.

Telephones are simulated SIP phones; people are participants through LiveKit's own library, without any code
of ours, in this process. Sound that is measured comes in bursts of a tone, 60 ms each, at odd times; a burst
is there with its first sample above a threshold, by the clock of this machine.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from livekit import rtc

from bench.rig import CARRIER_IP, Cpu, cpu_of, free_settings
from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.runtime.ports import free_port, free_port_row, free_sip_port
from gateway.stack import Stack, base_url
from gateway.trial import audio
from gateway.trial.rtp import Packet
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone

DIAL_IN = "+12025550100"
ROOMS = "/api/v1/video/rooms-scheduled"
HZ, BURST_S, LOUD = 1000.0, 0.06, 1500
RATE = 16_000
WORKERS = 2
_FRAME_S = 0.02
_LATEST_S = 0.9
Samples = npt.NDArray[np.int16]


@dataclass(slots=True)
class Ear:
    """What somebody heard of one voice: when each piece came, its sampling rate, its samples."""

    pieces: list[tuple[float, int, Samples]] = field(default_factory=list)

    def delays_ms(self, sent: Iterable[float]) -> list[float]:
        """From the moment at which each burst's first frame was given away to that of its first sample."""
        found: list[float] = []
        for began in sent:
            onset = self._onset(began)
            if onset is not None:
                found.append((onset - began) * 1000)
        return sorted(found)

    def _onset(self, began: float) -> float | None:
        for at, rate, samples in self.pieces:
            if began < at < began + _LATEST_S:
                loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
                if len(loud):
                    return at + float(loud[0]) / rate
        return None


class Person:
    """A participant. ``heard``: by the identity of who spoke; ``published``: who has sound in the room, and
    since when."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.heard: dict[str, Ear] = {}
        self.bursts: list[float] = []
        self.published: dict[str, float] = {}
        self.listens_to: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def enter(self, url: str, token: str) -> None:
        self.room.on("track_published", self._publishes)
        self.room.on("track_subscribed", self._hears)
        self.room.on("participant_disconnected", lambda who: self.published.pop(who.identity, None))
        await self.room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        for who in self.room.remote_participants.values():
            for publication in who.track_publications.values():
                self._publishes(publication, who)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    async def speak(self) -> None:
        """Publish a microphone that is silent but for bursts, frame by frame at the pace of the clock."""
        source = rtc.AudioSource(RATE, 1, queue_size_ms=60)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._run(self._speaks(source))

    async def sees(self, known: set[str], within_s: float) -> tuple[str, float]:
        """Somebody who is not ``known`` has sound in the room: who, and since when."""
        async with asyncio.timeout(within_s):
            while not (new := self.published.keys() - known):
                self._changed.clear()
                await self._changed.wait()
        identity = new.pop()
        return identity, self.published[identity]

    def _publishes(self, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        self.published.setdefault(who.identity, time.monotonic())
        self._changed.set()
        if who.identity in self.listens_to:
            publication.set_subscribed(True)

    def listen(self, identity: str) -> None:
        self.listens_to.add(identity)
        who = self.room.remote_participants.get(identity)
        for publication in who.track_publications.values() if who is not None else ():
            publication.set_subscribed(True)

    def _hears(self, track: rtc.Track, _: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
        self._run(self._keep(track, self.heard.setdefault(who.identity, Ear())))

    async def _keep(self, track: rtc.Track, ear: Ear) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        try:
            async for event in stream:
                ear.pieces.append((time.monotonic(), RATE, np.frombuffer(event.frame.data, np.int16)))
        finally:
            await stream.aclose()

    async def _speaks(self, source: rtc.AudioSource) -> None:
        size = int(RATE * _FRAME_S)
        burst = _tone(RATE)
        burst_frames = [burst[at : at + size] for at in range(0, len(burst), size)]
        silence, waiting = np.zeros(size, np.int16), list[Samples]()
        due, pause, pending = time.monotonic(), 40, set[asyncio.Task[None]]()
        while True:
            if not waiting and pause <= 0:
                waiting, pause = list(burst_frames), random.randint(25, 45)
                self.bursts.append(time.monotonic())
            pause -= 1
            samples = waiting.pop(0) if waiting else silence
            task = asyncio.ensure_future(_said(source, rtc.AudioFrame(samples.tobytes(), RATE, 1, size)))
            pending.add(task)
            task.add_done_callback(pending.discard)
            due += _FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _said(source: rtc.AudioSource, frame: rtc.AudioFrame) -> None:
    with suppress(Exception):  # a machine that stood still has more to say than the source holds
        await source.capture_frame(frame)


def _tone(rate: int) -> Samples:
    at = np.arange(int(BURST_S * rate)) / rate
    return (np.sin(2 * np.pi * HZ * at) * 12_000).astype(np.int16)


class Caller:
    """A telephone in a room. ``bursts``: when the first frame of each was sent."""

    def __init__(self, call: OutgoingCall, identity: str) -> None:
        self.call, self.identity = call, identity
        self.bursts: list[float] = []
        self._first: bytes | None = None
        self._task: asyncio.Task[None] | None = None

    def ear(self) -> Ear:
        """What it heard until now."""
        pieces = [
            (packet.at, audio.RATE, np.frombuffer(audio.ulaw_decode(packet.payload), np.int16))
            for packet in self.call.stream.packets
            if packet.payload_type == 0
        ]
        return Ear(pieces)

    def speak(self) -> None:
        """Bursts at odd times; silence in between."""
        stream = self.call.stream
        plain = stream._send

        def send(packet: Packet) -> None:
            if packet.payload is self._first:
                self.bursts.append(time.monotonic())
            plain(packet)

        stream._send = send  # type: ignore[method-assign]
        self._task = asyncio.create_task(self._speaks())

    async def _speaks(self) -> None:
        stream, burst = self.call.stream, audio.tone(HZ, BURST_S)
        while True:
            await asyncio.sleep(0.5 + random.random() * 0.4)
            place = len(stream._frames)
            stream.play(burst)
            self._first = stream._frames[place]

    async def hush(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@dataclass(slots=True)
class RoomBench:
    """The running product and whoever dials in."""

    stack: Stack
    http: aiohttp.ClientSession
    phone: SipPhone

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The ``data`` of a request that must succeed."""
        url = base_url(self.stack.settings) + path
        async with self.http.request(method, url, json=body) as response:
            answer = await response.json()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path} answered {response.status}: {answer}")
            return answer.get("data")

    async def room(self) -> dict[str, Any]:
        return dict(await self.ask("POST", ROOMS, {"name": "Bench", "max_participants": 50}))

    async def person(self, room: dict[str, Any], identity: str) -> Person:
        """Somebody in the room, who may let others in: telephones wait for a host."""
        wanted = {"identity": identity, "role": "host"}
        way = await self.ask("POST", f"{ROOMS}/{room['room_id']}/join", wanted)
        person = Person()
        await person.enter(way["ws_url"], way["token"])
        return person

    async def dial(self) -> OutgoingCall:
        """A call to the line for rooms, at the question for the number."""
        assert self.stack.switch is not None
        address = self.stack.switch.address
        call = self.phone.call(Dial(DIAL_IN, (address.sip_host, address.sip_port), "+14155550101"))
        await call.reaches(CallState.ANSWERED, within_s=15.0)
        await call.hears(lambda pcm: audio.active_seconds(pcm) > 0.3, 15.0, "the question")
        return call

    async def typed(self, call: OutgoingCall, digits: str) -> float:
        """Press these keys; when the last packet of the last one was sent."""
        sent: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        stream = call.stream
        plain = stream._send

        def send(packet: Packet) -> None:
            plain(packet)
            if packet.payload_type not in (0, 8) and not stream._events and not sent.done():
                sent.set_result(time.monotonic())

        stream._send = send  # type: ignore[method-assign]
        stream.press(digits)
        return await asyncio.wait_for(sent, 15.0)

    def switch_cpu(self) -> Cpu:
        assert self.stack.switch is not None
        return cpu_of(_pid(self.stack.switch.child.state.pid))

    def server_cpu(self) -> Cpu:
        assert self.stack.livekit is not None
        return cpu_of(_pid(self.stack.livekit.state.pid))

    def worker_cpu(self) -> float:
        """CPU seconds so far of all processes that carry telephones."""
        assert self.stack.gateway is not None
        return sum(cpu_of(pid).total for pid in children(_pid(self.stack.gateway.state.pid)))


def _pid(pid: int | None) -> int:
    assert pid is not None, "it runs"
    return pid


def children(parent: int) -> list[int]:
    """Processes that this one started and that carry telephones."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            pid = int(folder.name)
            of = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if of == parent and b"gateway.room_worker" in (folder / "cmdline").read_bytes():
                found.append(pid)
    return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RoomBench]:
    """Everything up, a number that leads to the rooms; ended afterwards. Raises RuntimeError where LiveKit is
    not to be had."""
    settings = replace(
        free_settings(folder / "product"),
        livekit="auto",
        livekit_port=free_port(),
        livekit_udp_port=free_port(kind=socket.SOCK_DGRAM),
        room_media_port=free_port_row(WORKERS),
        room_workers=WORKERS,
    )
    carrier_port = free_sip_port(CARRIER_IP)
    key = await ensure_first_key(settings, SystemClock(), new_id("key"), random_bytes(32))
    stack = Stack(settings, lambda text: print(text, file=sys.stderr), trunk_port=carrier_port)
    async with AsyncExitStack() as exits:
        timeout = aiohttp.ClientTimeout(total=30)
        session = aiohttp.ClientSession(timeout=timeout, headers={"X-API-Key": key.text})
        http = await exits.enter_async_context(session)
        exits.push_async_callback(stack.stop)
        await stack.start()
        if stack.livekit is None:
            raise RuntimeError("there is no LiveKit server on this machine, so nothing of rooms to measure")
        phone = await exits.enter_async_context(await SipPhone.open(CARRIER_IP, carrier_port, name="carrier"))
        bench = RoomBench(stack, http, phone)
        await bench.ask("POST", "/api/v1/numbers", {"e164": DIAL_IN, "route": {"type": "rooms"}})
        yield bench


def leave_process(code: int) -> None:
    """End without the interpreter's shutdown, which the library's threads do not survive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
