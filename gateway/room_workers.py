"""Those who carry telephones into rooms: worker processes, or the gateway itself on a small machine.

There are several, since a process has one loop. Each has a loopback port of its own, to which the switch
comes by the connection ``room0``, ``room1``, … One that dies, or says nothing for five seconds, is started
anew; its telephones are told to be gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.runtime.backoff import backoff_s, failures_after
from gateway.runtime.children import MINIMAL_ENV
from telephony.errors import RoomsUnavailable, UnsafeValue
from video_rooms.core.leg import Gone, HangUp, Join, LegFact, LegOrder
from video_rooms.core.leg_lines import (
    LONGEST,
    Alive,
    Begin,
    Do,
    Expect,
    Garbled,
    Listening,
    Ready,
    Stop,
    Told,
    ToWorker,
    from_worker,
    line,
)
from video_rooms.core.placement import Load, in_order
from video_rooms.core.trunk_pass import read_pass
from video_rooms.ports import LegEar
from voice_agents.wire.asterisk import MediaAbilities

if TYPE_CHECKING:
    from gateway.room_worker import Worker

_log = structlog.get_logger("gateway.room_workers")
MOST = 8
ROOT = Path(__file__).resolve().parents[1]
READY_S = 30.0
SILENT_S = 5.0
ANSWER_S = 3.0
STOP_S = 12.0
_UNREAD = 4_000_000
_REPORTS = 60
"""Signs of life that a worker gives in a minute."""
_HOPELESS = 2
"""Deaths in a row after which the start does not wait for a worker any more."""


@dataclass(frozen=True, slots=True)
class RoomWorkersPlan:
    """``workers`` 0 to 8, 0: the gateway itself; the one of number i listens on ``port`` + i (0: free ones).
    ``music``: a WAV file. ``log_level`` as the gateway's own."""

    workers: int
    host: str
    port: int
    music: Path | None = None
    log_level: str = "info"


@dataclass(slots=True)
class WorkerState:
    """What is known of one worker. ``port`` 0: it does not listen. ``late_ms``: how late the clock of all
    sound was at worst within the last minute, or, in this process, since this was asked last."""

    number: int
    port: int = 0
    pid: int | None = None
    legs: int = 0
    late_ms: int = 0
    restarts: int = -1

    @property
    def up(self) -> bool:
        return self.port > 0


class RoomsHere:
    """Fits ``video_rooms.ports.LegCarrier``: no worker, everything in this process."""

    def __init__(self, plan: RoomWorkersPlan) -> None:
        self.unbuffered = False
        self._plan = plan
        self._state = WorkerState(0, pid=os.getpid(), restarts=0)
        self._worker: Worker | None = None

    @property
    def states(self) -> tuple[WorkerState, ...]:
        if self._worker is not None:
            self._state.legs = len(self._worker.bridge)
            self._state.late_ms = self._worker.late_ms()
        return (self._state,)

    async def start(self) -> None:
        """Listen for the switch. Where that cannot be, ``expect`` raises ``RoomsUnavailable`` and all that is
        no room works."""
        try:
            from gateway.room_worker import Worker  # why here: with workers its libraries are theirs alone

            self._worker = Worker("room0", self._plan.music)
            self._state.port = await self._worker.start(self._plan.host, self._plan.port)
        except (ImportError, OSError, RoomsUnavailable) as fault:
            _log.error("room_workers_missing", why=f"{type(fault).__name__}: {fault}")

    async def stop(self) -> None:
        self._state.port = 0
        if self._worker is not None:
            await self._worker.close()

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, *, room: str = "") -> str:
        if self._worker is None or not self._state.up:
            raise RoomsUnavailable("telephones are not carried into rooms")
        self._worker.port.abilities = MediaAbilities(asks_unbuffered=self.unbuffered)
        return await self._worker.bridge.expect(leg_id, ear, within_s)

    def order(self, leg_id: str, order: LegOrder) -> None:
        if self._worker is not None:
            self._worker.bridge.order(leg_id, order)


def room_carrier(plan: RoomWorkersPlan) -> RoomWorkers | RoomsHere:
    """Whoever carries telephones by this plan; no workers: this process does."""
    return RoomWorkers(plan) if plan.workers else RoomsHere(plan)


class RoomWorkers:
    """Fits ``video_rooms.ports.LegCarrier``. ``unbuffered``: the switch can be asked to keep no queue."""

    def __init__(self, plan: RoomWorkersPlan, *, chance: Callable[[], float] = random.random) -> None:
        self.unbuffered = False
        self._slots = [_Slot(plan, number, chance) for number in range(plan.workers)]
        self._turn = itertools.count()

    @property
    def states(self) -> tuple[WorkerState, ...]:
        return tuple(slot.state for slot in self._slots)

    async def start(self) -> None:
        """Start all, and wait until they listen. One that does not is tried again and again; while none does,
        ``expect`` raises ``RoomsUnavailable`` and all that is no room works."""
        for slot in self._slots:
            slot.start()
        waits = [asyncio.create_task(slot.settled.wait()) for slot in self._slots]
        await asyncio.wait(waits, timeout=READY_S)
        for wait in waits:
            wait.cancel()
        if not all(slot.state.up for slot in self._slots):
            _log.error(
                "room_workers_missing", up=sum(slot.state.up for slot in self._slots), of=len(self._slots)
            )

    async def stop(self) -> None:
        """Hang all telephones up, leave all rooms, end all workers."""
        await asyncio.gather(*(slot.stop() for slot in self._slots))

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, *, room: str = "") -> str:
        if any(leg_id in slot.ears for slot in self._slots):
            raise RoomsUnavailable("this leg is carried already")
        loads = [slot.load(room) for slot in self._slots if slot.state.up]
        for number in in_order(loads, next(self._turn), len(self._slots)):
            if dialled := await self._slots[number].expect(leg_id, ear, within_s, self.unbuffered, room):
                return dialled
        raise RoomsUnavailable("nobody can carry a telephone into a room now")

    def order(self, leg_id: str, order: LegOrder) -> None:
        for slot in self._slots:
            if leg_id in slot.ears:
                slot.do(leg_id, order)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A leg that a worker has been told to expect. ``room``: where it is going; "": nobody knows yet."""

    leg: str
    room: str
    ear: LegEar
    answer: asyncio.Future[str]


class _Slot:
    """A worker's place: the process in it, and whom it carries."""

    def __init__(self, plan: RoomWorkersPlan, number: int, chance: Callable[[], float]) -> None:
        self.state = WorkerState(number)
        self.ears: dict[str, LegEar] = {}
        self.rooms: dict[str, str] = {}
        """The rooms that legs are in, or on their way to, where that is known."""
        self.settled = asyncio.Event()
        """It has listened, or died twice."""
        self._plan, self._chance = plan, chance
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, _Asked] = {}
        self._life: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._late: deque[int] = deque(maxlen=_REPORTS)

    def start(self) -> None:
        self._life = asyncio.create_task(self._live(), name=f"room worker {self.state.number}")

    async def stop(self) -> None:
        self._stopping = True
        self._send(Stop())
        if self._life is None:
            return
        if self._process is None:
            self._life.cancel()
        _, late = await asyncio.wait([self._life], timeout=STOP_S)
        if late:
            self._kill()
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)

    # ------------------------------------------------------------ legs

    def load(self, room: str) -> Load:
        """What it has, and what of it is in this room; whom it was just told to expect counts, too."""
        there = self.rooms | {one.leg: one.room for one in self._asked.values()}
        here = sum(one == room for one in there.values()) if room else 0
        return Load(self.state.number, len(self.ears.keys() | there.keys()), here)

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, unbuffered: bool, room: str) -> str:
        """What to dial; empty where this one cannot carry it."""
        number = next(self._numbers)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[number] = _Asked(leg_id, room, ear, answer)
        self._send(Expect(number, leg_id, within_s, unbuffered))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            _log.warning("room_worker_slow", worker=self.state.number)
            self._send(Do(leg_id, HangUp()))
            return ""
        finally:
            self._asked.pop(number, None)

    def do(self, leg_id: str, order: LegOrder) -> None:
        if isinstance(order, Join) and (opened := read_pass(order.token)) is not None:
            self.rooms[leg_id] = opened.room
        try:
            self._send(Do(leg_id, order))
        except UnsafeValue:
            _log.error("leg_order_too_long", order=type(order).__name__)

    def _send(self, message: ToWorker) -> None:
        if self._writer is None or self._writer.is_closing():
            return
        self._writer.write(line(message))
        if self._writer.transport.get_write_buffer_size() > _UNREAD:
            self._kill()

    # ------------------------------------------------------------ the process

    async def _live(self) -> None:
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            self.state.restarts += 1
            try:
                await self._run_once()
            except (OSError, TimeoutError, Garbled, ValueError) as fault:
                _log.error(
                    "room_worker_lost", worker=self.state.number, why=f"{type(fault).__name__}: {fault}"
                )
            finally:
                await self._over()
            if self._ending():
                return
            failures = failures_after(failures, time.monotonic() - began)
            if failures >= _HOPELESS:
                self.settled.set()
            await asyncio.sleep(backoff_s(failures, self._chance()))

    async def _run_once(self) -> None:
        """One life of a worker, from its start to its end. Raises for an end that nobody asked for."""
        ours, its = socket.socketpair()
        try:
            # why no preexec_fn: Python between fork and exec may wait for ever for what another thread held
            # (subprocess's own warning), and this loop with it; the worker sees to the same when it begins
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.room_worker", str(its.fileno()), self._plan.log_level,
                cwd=ROOT, env=dict(MINIMAL_ENV), pass_fds=(its.fileno(),),
                stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError:
            ours.close()
            raise
        finally:
            its.close()
        self.state.pid = self._process.pid
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LONGEST)
        port = self._plan.port + self.state.number if self._plan.port else 0
        music = "" if self._plan.music is None else str(self._plan.music.absolute())
        self._send(Begin(f"room{self.state.number}", self._plan.host, port, music))
        patience = READY_S
        while text := await self._next(reader, patience):
            self._hear(text)
            patience = SILENT_S if self.state.up else READY_S
        if not self._stopping:
            raise ConnectionResetError("it ended")

    async def _next(self, reader: asyncio.StreamReader, patience: float) -> bytes:
        async with asyncio.timeout(patience):
            return await reader.readline()

    def _hear(self, text: bytes) -> None:
        match from_worker(text):
            case Listening(port):
                self.state.port = port
                self.settled.set()
            case Ready(number, dial):
                asked = self._asked.get(number)
                if asked is not None and not asked.answer.done():
                    if dial:  # at once: the leg's first facts may be in the same breath
                        self.ears[asked.leg] = asked.ear
                        if asked.room:
                            self.rooms[asked.leg] = asked.room
                    asked.answer.set_result(dial)
            case Told(leg, fact):
                self._told(leg, fact)
            case Alive(legs, late_ms):
                self._late.append(late_ms)
                self.state.legs, self.state.late_ms = legs, max(self._late)

    def _told(self, leg_id: str, fact: LegFact) -> None:
        ear = self.ears.get(leg_id)
        if isinstance(fact, Gone):
            self.ears.pop(leg_id, None)
            self.rooms.pop(leg_id, None)
        if ear is None:
            return
        try:
            ear.heard(leg_id, fact)
        except Exception:  # noqa: BLE001 # why: a fault of one listener must not end the legs of all
            _log.exception("leg_ear_failed")

    async def _over(self) -> None:
        """The worker is no more, or must not be: whom it carried is told."""
        process = self._process
        if process is not None and self._stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 2.0)
        self._kill()
        if process is not None:
            await process.wait()
        self._process = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.state.port, self.state.pid, self.state.legs = 0, None, 0
        self.state.late_ms = 0
        self._late.clear()
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_result("")
        for leg_id in tuple(self.ears):
            self._told(leg_id, Gone("carrier_lost"))

    def _ending(self) -> bool:
        return self._stopping

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
