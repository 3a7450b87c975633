"""Callers that cost next to nothing: their sound is made once for all, and sent and read by one thread.

SIP is the simulated phone's. Once a call is answered its socket is taken over by ``Mill``, a thread that may
stay on one core: each 20 ms, in four quarters, every caller sends the same ready-made packet, and what has
come is read in one go. When a packet came is the kernel's word (``SO_TIMESTAMPNS``, socket(7)), so that
nothing is measured of how late it is read. A frame carries a number in the sound itself: µ-law goes from end
to end without a change.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone

FRAME_S = 0.020
QUARTERS = 4
PHRASE, SPOKEN = 150, 100
"""Frames of a phrase with its pause, and of the phrase: as people speak, two seconds and a breath."""
CALLER = "+14155550101"
_HEADER = struct.Struct("!BBHII")
_STAMP = struct.Struct("@qq")
_SO_TIMESTAMPNS = 35
_MARK = b"PB"
_FILLER = b"\x35" * 148
_SILENCE = b"\xff" * 160
_SENT_KEPT = 512
_AT_ONCE = 5


def stamped(number: int) -> bytes:
    """A frame of µ-law that says its number, which has ten digits at most."""
    return _MARK + b"%010d" % number + _FILLER


def number_in(octets: bytes, start: int = 0) -> int:
    """The number in a frame; -1 where there is none."""
    if octets[start : start + 2] != _MARK:
        return -1
    return int(octets[start + 2 : start + 12])


@dataclass(slots=True, eq=False)
class Line:
    """One caller. ``rtts`` in ms, of what came while ``counts``; ``seen`` are epoch seconds and number of
    every frame that came while ``keeps``; ``holes`` steps between packets that were not 20 ms."""

    call: OutgoingCall
    socket: socket.socket
    counts: bool = False
    keeps: bool = False
    rtts: list[float] = field(default_factory=list)
    seen: list[tuple[float, int]] = field(default_factory=list)
    packets: int = 0
    holes: int = 0
    sent: list[float] = field(default_factory=lambda: [0.0] * _SENT_KEPT)
    timestamp: int = -1

    def came(self, octets: bytes, at: float) -> None:
        number = number_in(octets, 12)
        if self.keeps:
            self.seen.append((at, number))
        if not self.counts:
            self.timestamp = -1
            return
        timestamp = _HEADER.unpack_from(octets)[3]
        self.packets += 1
        self.holes += self.timestamp >= 0 and (timestamp - self.timestamp) % 2**32 != 160
        self.timestamp = timestamp
        began = self.sent[number % _SENT_KEPT] if number >= 0 else 0.0
        if began:
            self.sent[number % _SENT_KEPT] = 0.0
            self.rtts.append((at - began) * 1000)


class Mill:
    """Sends and reads for every line, in a thread. ``core``: the only one that it may run on."""

    def __init__(self, core: int | None = None) -> None:
        self._core = core
        self._quarters: tuple[list[Line], ...] = tuple([] for _ in range(QUARTERS))
        self._by_fd: dict[int, Line] = {}
        self._poll = select.epoll()
        self._lock = threading.Lock()
        self._stops = threading.Event()
        self.late_ms = 0.0
        """The latest that a quarter was sent."""
        self.cpu_s = 0.0
        self._thread = threading.Thread(target=self._run, name="mill", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stops.set()
        self._thread.join(2.0)
        self._poll.close()

    def take(self, line: Line) -> None:
        """From now on this line is sent for and read."""
        with self._lock:
            self._by_fd[line.socket.fileno()] = line
            min(self._quarters, key=len).append(line)
            self._poll.register(line.socket, select.EPOLLIN)

    def leave(self, line: Line) -> None:
        with self._lock:
            self._poll.unregister(line.socket)
            del self._by_fd[line.socket.fileno()]
            next(quarter for quarter in self._quarters if line in quarter).remove(line)
            line.socket.close()

    def _run(self) -> None:
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})
        origin, step = time.monotonic(), 0
        while not self._stops.is_set():
            step += 1
            due = origin + step * FRAME_S / QUARTERS
            time.sleep(max(0.0, due - time.monotonic()))
            self.late_ms = max(self.late_ms, (time.monotonic() - due) * 1000)
            with self._lock:
                self._read()
                self._send(self._quarters[step % QUARTERS], step // QUARTERS)
            self.cpu_s = time.thread_time()

    def _send(self, lines: Sequence[Line], number: int) -> None:
        speaks = number % PHRASE < SPOKEN
        head = _HEADER.pack(0x80, 0, number % 65536, number * 160 % 2**32, 7)
        packet = head + (stamped(number) if speaks else _SILENCE)
        place, now = number % _SENT_KEPT, time.time
        for line in lines:
            line.sent[place] = now() if speaks else 0.0
            try:
                line.socket.send(packet)
            except OSError:  # the far end has closed its socket: its call ends
                line.sent[place] = 0.0

    def _read(self) -> None:
        for fd, _ in self._poll.poll(0, 1000):
            line = self._by_fd[fd]
            while True:
                try:
                    octets, told, _, _ = line.socket.recvmsg(512, 64)
                except OSError:
                    break
                if len(octets) == 172:
                    seconds, nanoseconds = _STAMP.unpack(told[0][2])
                    line.came(octets, seconds + nanoseconds / 1e9)


class Callers:
    """Callers of one phone."""

    def __init__(self, phone: SipPhone, sip: tuple[str, int], mill: Mill) -> None:
        self._phone, self._sip, self._mill = phone, sip, mill
        self.lines: list[Line] = []

    async def call(self, number: str, calls: int, *, keeps: bool = False) -> list[Line]:
        """Place so many calls, some at a time; each speaks once it is answered. Returns those that were.
        ``keeps``: what is heard is kept."""
        made: list[Line] = []
        for first in range(0, calls, _AT_ONCE):
            some = [self._phone.call(self._dial(number)) for _ in range(min(_AT_ONCE, calls - first))]
            ways = (call.reaches(CallState.ANSWERED, within_s=20.0) for call in some)
            seen = await asyncio.gather(*ways, return_exceptions=True)
            made += [self._taken(call, keeps) for call, failed in zip(some, seen, strict=True) if not failed]
        self.lines += made
        return made

    def _dial(self, number: str) -> Dial:
        return Dial(number, self._sip, CALLER, mute=True)

    def _taken(self, call: OutgoingCall, keeps: bool) -> Line:
        stream = call.stream
        transport, to = stream._transport, stream._to
        assert transport is not None
        assert to is not None
        own = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        stream.mute = True
        stream.close()
        own.setblocking(False)
        own.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        own.connect((to.host, to.port))
        line = Line(call, own, keeps=keeps)
        self._mill.take(line)
        return line

    async def measure(self, seconds: float, settle_s: float = 2.0) -> None:
        """Let all run for a while, and count what comes then."""
        await asyncio.sleep(settle_s)
        for line in self.lines:
            line.counts = True
        await asyncio.sleep(seconds)
        for line in self.lines:
            line.counts = False

    async def end(self) -> None:
        """Everybody hangs up."""
        await asyncio.gather(*(line.call.hang_up() for line in self.lines))
        self.leave(self.lines)

    def leave(self, lines: Sequence[Line]) -> None:
        """These lines have ended."""
        for line in list(lines):
            self._mill.leave(line)
            self.lines.remove(line)
