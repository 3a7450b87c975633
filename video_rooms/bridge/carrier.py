"""The embedded media bridge: telephones' sound from the switch, as participants of rooms."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine

import structlog

from telephony.errors import RoomsUnavailable
from video_rooms.bridge.hall import Halls
from video_rooms.bridge.leg import BridgedLeg, Shop, Sounds
from video_rooms.core.leg import HangUp, LegOrder
from video_rooms.ports import LegEar
from video_rooms.ports_media import RoomDoor, SwitchPort

_log = structlog.get_logger("video_rooms.bridge")

CLOSE_S = 5.0
"""How long rooms may take to be left at the end."""


class Bridge:
    """Fits ``LegCarrier``, within one process and on one loop."""

    def __init__(self, port: SwitchPort, door: RoomDoor, sounds: Sounds) -> None:
        self._port, self._door = port, door
        self._legs: dict[str, BridgedLeg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.halls = Halls()
        self._shop = Shop(door, self.halls, sounds, self._run, self._forget)

    def __len__(self) -> int:
        return len(self._legs)

    async def expect(self, leg_id: str, ear: LegEar, within_s: float, *, room: str = "") -> str:
        if self._closed or leg_id in self._legs:
            raise RoomsUnavailable("nobody carries this leg")
        leg = BridgedLeg(leg_id, secrets.token_hex(16), ear, self._shop)
        dialled = self._port.dial_string(leg.token)
        self._legs[leg_id] = leg
        self._port.expect(leg.token, leg, within_s)
        return dialled

    def order(self, leg_id: str, order: LegOrder) -> None:
        leg = self._legs.get(leg_id)
        if leg is not None:
            leg.order(order)

    async def close(self) -> None:
        """Hang all up, leave all rooms, and let nobody in any more. A connection to a room that outlives the
        loop would end the process, so all are waited for; the wait is bounded."""
        self._closed = True
        for leg in tuple(self._legs.values()):
            leg.order(HangUp())
        try:
            async with asyncio.timeout(CLOSE_S):
                while self._tasks:
                    await asyncio.wait(tuple(self._tasks))
        except TimeoutError:
            _log.warning("rooms_not_left", tasks=len(self._tasks))
        await self._door.close()

    def _forget(self, leg: BridgedLeg) -> None:
        self._port.forget(leg.token)
        if self._legs.get(leg.id) is leg:
            del self._legs[leg.id]

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("bridge_task_failed", exc_info=fault)
