"""RTP for simulated phones (RFC 3550, RFC 4733): packets, paced sending, capture.

The pure half maps packets to bytes and a capture to one line of PCM; the socket half sends one
packet every 20 ms by a clock that does not drift, and remembers what arrives.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from gateway.runtime.ports import bound
from gateway.trial import audio
from gateway.trial.sdp import PCMU, MediaAddress
from gateway.trial.watch import Watch

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_DIGITS = "0123456789*#ABCD"
_SILENT_FRAME = b"\xff" * audio.FRAME_SAMPLES
_RESYNC_SAMPLES = audio.RATE
_AT_ONCE_SAMPLES = audio.RATE // 10
_MAX_PACKETS = 90_000
_DATAGRAM_MAX = 65_536
_EVENT_FRAMES = 8
_FRAME_S = audio.FRAME_MS / 1000


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet. ``at`` is when it arrived (seconds, monotonic), 0.0 for one to be sent."""

    payload_type: int
    sequence: int
    timestamp: int
    source: int
    payload: bytes
    marker: bool = False
    at: float = 0.0


def pack(packet: Packet) -> bytes:
    second = packet.payload_type | (0x80 if packet.marker else 0)
    return _HEADER.pack(0x80, second, packet.sequence, packet.timestamp, packet.source) + packet.payload


def unpack(datagram: bytes, at: float) -> Packet | None:
    """A datagram as a packet; ``None`` if it is not RTP version 2 (RTCP is not RTP here)."""
    if len(datagram) < _HEADER.size or datagram[0] >> 6 != 2 or 200 <= datagram[1] <= 207:
        return None
    first, second, sequence, timestamp, source = _HEADER.unpack_from(datagram)
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10 and len(datagram) >= start + 4:
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    end = len(datagram) - (datagram[-1] if first & 0x20 else 0)
    return Packet(second & 0x7F, sequence, timestamp, source, datagram[start:end], bool(second & 0x80), at)


def assemble(packets: Iterable[Packet]) -> bytes:
    """What was heard, as PCM from the first packet on.

    Packets lie where their timestamps say; where a stream starts anew (another source, a jump of more
    than a second against the clock) they lie where their arrival says. Gaps are silence. What was only
    read late is no jump: its packets are as far from one another as they were sent.
    """
    heard = bytearray()
    began: float | None = None
    last: Packet | None = None
    anchor = 0
    for packet in packets:
        if packet.payload_type != PCMU:
            continue
        began = packet.at if began is None else began
        arrived = round((packet.at - began) * audio.RATE)
        place = _apart(packet.timestamp, anchor)
        if last is None or place < 0 or not _goes_on(last, packet, off=abs(place - arrived)):
            place = arrived
            anchor = (packet.timestamp - place) % 2**32
        last = packet
        heard.extend(bytes(max(0, 2 * place - len(heard))))
        heard[2 * place : 2 * (place + len(packet.payload))] = audio.ulaw_decode(packet.payload)
    return bytes(heard)


def _goes_on(last: Packet, packet: Packet, off: int) -> bool:
    """Whether the second is of the same stream: as much later as there are packets between, or, but for a
    second, as time has passed: since the first one (``off`` samples from that), or among those read at once.
    """
    passed, waited = _apart(packet.timestamp, last.timestamp), round((packet.at - last.at) * audio.RATE)
    between = (packet.sequence - last.sequence + 2**15) % 2**16 - 2**15
    if packet.source != last.source or passed == between * audio.FRAME_SAMPLES:
        return packet.source == last.source
    return min(off, abs(passed - waited) if waited < _AT_ONCE_SAMPLES else off) <= _RESYNC_SAMPLES


def _apart(timestamp: int, earlier: int) -> int:
    """Samples from one timestamp to another, which may be later all the same."""
    return (timestamp - earlier + 2**31) % 2**32 - 2**31


def digits_in(packets: Iterable[Packet], payload_type: int) -> str:
    """The DTMF digits in a capture: one for each event that ended."""
    ended: dict[tuple[int, int], str] = {}
    for packet in packets:
        if packet.payload_type == payload_type and len(packet.payload) >= _EVENT.size:
            event, flags, _ = _EVENT.unpack_from(packet.payload)
            if flags & 0x80 and event < len(_DIGITS):
                ended.setdefault((packet.source, packet.timestamp), _DIGITS[event])
    return "".join(ended.values())


def event_payloads(digit: str) -> list[bytes]:
    """The payloads that carry one digit: it lasts 160 ms, its end is said three times (RFC 4733 2.5.1.4)."""
    event = _DIGITS.index(digit)
    lasting = [(0x0A, frame * audio.FRAME_SAMPLES) for frame in range(1, _EVENT_FRAMES + 1)]
    ending = [(0x8A, _EVENT_FRAMES * audio.FRAME_SAMPLES)] * 3
    return [_EVENT.pack(event, flags, length) for flags, length in lasting + ending]


class RtpStream(asyncio.DatagramProtocol):
    """One call's audio socket. It sends silence when it has nothing to say, unless ``mute`` is set."""

    def __init__(self, source: int, mute: bool = False) -> None:
        self.port = 0
        self.packets: list[Packet] = []
        self.mute = mute
        self._source = source
        self._to: MediaAddress | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None
        self._frames: deque[bytes] = deque()
        self._loop_frames: tuple[bytes, ...] = ()
        self._events: deque[bytes] = deque()
        self._event_at: int | None = None
        self._sequence = 0
        self._timestamp = 0
        self._watch = Watch()
        self.sent = 0

    async def open(self, host: str) -> None:
        """Binds an even port (RFC 3550 section 11)."""
        loop = asyncio.get_running_loop()
        for _ in range(64):
            plug = bound(host, 0, socket.SOCK_DGRAM)
            port = plug.getsockname()[1]
            if port % 2 == 0:
                plug.setblocking(False)
                self._socket, self.port = plug, port
                self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=plug)
                return
            plug.close()
        raise OSError(f"no even port is free on {host}")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packet = unpack(data, asyncio.get_running_loop().time())
        if packet is not None and len(self.packets) < _MAX_PACKETS:
            self.packets.append(packet)
            self._watch.changed()

    async def until(self, holds: Callable[[], bool], *, within_s: float, what: str) -> None:
        """Waits for a condition on what was received. Raises ``NotInTime``."""
        await self._watch.until(
            holds, within_s=within_s, what=what, seen=lambda: f"{len(self.packets)} packets"
        )

    def send_to(self, where: MediaAddress) -> None:
        self._to = where

    def play(self, pcm: bytes, *, repeat: bool = False) -> None:
        """Says this next, after what is already waiting; with ``repeat`` again and again."""
        encoded = audio.ulaw_encode(pcm)
        size = audio.FRAME_SAMPLES
        frames = [encoded[at : at + size].ljust(size, b"\xff") for at in range(0, len(encoded), size)]
        if repeat:
            self._loop_frames = tuple(frames)
        self._frames.extend(frames)

    def press(self, digits: str) -> None:
        """Sends DTMF digits as RTP events; ``ValueError`` for a character that is not one."""
        for digit in digits.upper():
            self._events.extend(event_payloads(digit))

    def step(self) -> None:
        """Sends the packet of one 20 ms step."""
        timestamp, self._timestamp = self._timestamp, (self._timestamp + audio.FRAME_SAMPLES) % 2**32
        if self._to is None or self._transport is None or self.mute:
            return
        if self._events and self._to.dtmf is not None:
            self._send_event(self._events.popleft(), timestamp, self._to.dtmf)
            return
        if not self._frames:
            self._frames.extend(self._loop_frames)
        frame = self._frames.popleft() if self._frames else _SILENT_FRAME
        self._send(Packet(PCMU, self._sequence, timestamp, self._source, frame, self.sent == 0))

    def _send_event(self, payload: bytes, timestamp: int, payload_type: int) -> None:
        first = self._event_at is None
        at = timestamp if self._event_at is None else self._event_at
        ends_last = payload[1] & 0x80 and not (self._events and self._events[0][1] & 0x80)
        self._event_at = None if ends_last else at
        self._send(Packet(payload_type, self._sequence, at, self._source, payload, first))

    def _send(self, packet: Packet) -> None:
        if self._transport is not None and self._to is not None:
            self._transport.sendto(pack(packet), (self._to.host, self._to.port))
            self._sequence = (self._sequence + 1) % 65536
            self.sent += 1

    def heard(self) -> bytes:
        """Everything received so far, as PCM at 8 kHz."""
        return assemble(self.packets)

    def close(self) -> None:
        """What has arrived is heard first: signalling has a socket of its own, and may be read sooner."""
        if self._transport is None or self._socket is None:
            return
        with suppress(BlockingIOError):
            while True:
                self.datagram_received(*self._socket.recvfrom(_DATAGRAM_MAX))
        self._transport.close()
        self._transport = self._socket = None


class Pacer:
    """Steps every open stream each 20 ms. Lateness is made up for, so that clocks agree over minutes."""

    def __init__(self) -> None:
        self._streams: set[RtpStream] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, stream: RtpStream) -> None:
        self._streams.add(stream)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="rtp pacer")

    def remove(self, stream: RtpStream) -> None:
        self._streams.discard(stream)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._streams:
            due += _FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            for stream in tuple(self._streams):
                stream.step()

    async def close(self) -> None:
        self._streams.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
