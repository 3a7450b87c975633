"""Rooms entered by LiveKit's SIP service: a call between it and the switch, our own end a media socket.

The telephone itself stays where it is, with the bridge that asks for its number, plays to it and hears its
keys: only the way from there into the room is another. So all of that is the same by either way, and a way
that fails can be changed for the other one unheard.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final

import structlog

from telephony.errors import PatchbayError
from video_rooms.core.leg import Join
from video_rooms.core.trunk_ends import ELSEWHERE
from video_rooms.core.trunk_pass import Opened, read_pass
from video_rooms.ports import Chances, RoomServer
from video_rooms.ports_media import NotAdmitted, RoomDoor, RoomStay, StayEar, SwitchPort
from video_rooms.ports_trunk import TrunkCalls
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.eyes import Eyes, View
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import SipStay, Stage
from video_rooms.siptrunk.ways import Attempt, ServiceCalls, SwitchCalls, Way

_log = structlog.get_logger("rooms.trunk")
TAKE_S: Final = 4.0
"""How long the service may take: it answers within 0.1 s, and another way must have its time, too."""
REST_S: Final = 30.0
"""How long a service that failed is left alone."""
LEAVE_S: Final = 3.0
INTRODUCE_S: Final = 1.0
"""How long a name may take: of whoever has left meanwhile the media server says nothing for long."""
SEEN_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class DoorParts:
    """What the door stands on. ``port``: where the switch brings our own ends of calls; ``mono``: seconds
    that never go back. ``line``: what the service dials before the name of a socket of ours, where it is the
    one that calls; empty: the switch calls it. ``rests``: whether a service that failed is left alone for a
    while, which is right where telephones come in otherwise meanwhile."""

    port: SwitchPort
    calls: TrunkCalls
    keeper: TrunkKeeper
    server: RoomServer
    anchors: Anchors
    names: TrunkNames
    chances: Chances
    mono: Callable[[], float]
    line: str = ""
    rests: bool = True


def _way(parts: DoorParts, run: Callable[[Coroutine[None, None, None]], object]) -> Way:
    if parts.line:
        return ServiceCalls(parts.port, parts.keeper, parts.server, parts.line)
    return SwitchCalls(parts.port, parts.calls, parts.keeper, parts.anchors, parts.names, run)


class SipDoor:
    """Fits ``RoomDoor``."""

    def __init__(self, parts: DoorParts) -> None:
        self._parts, self._way = parts, _way(parts, self._run)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stays: set[SipStay] = set()
        self._rests_until = float("-inf")
        self._closed = False
        self._stage = Stage(parts.server, parts.keeper.desk, Eyes(parts.server), self._run, self._replaced)

    def __len__(self) -> int:
        return len(self._stays)

    @property
    def open(self) -> bool:
        """Whether it is worth a try."""
        return not self._closed and self._way.ready and not self.resting

    @property
    def resting(self) -> bool:
        """Whether the service is left alone, since it failed a moment ago."""
        return self._parts.mono() < self._rests_until

    def knows(self, identity: str) -> bool:
        """Whether this is a telephone that can come in by SIP."""
        return self._way.knows(identity)

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> SipStay:
        opened = read_pass(join.token)
        if opened is None or not self.knows(join.identity) or not self.open:
            raise NotAdmitted("unreachable")
        try:
            async with asyncio.timeout(TAKE_S):
                stay = await self._enter(join, opened, ear)
        except TimeoutError:
            raise self._failed("timeout") from None
        except NotAdmitted as refusal:
            raise self._failed(refusal.why) from None
        except PatchbayError as failure:
            _log.warning("trunk.not_entered", code=failure.code)
            raise self._failed("unreachable") from failure
        stay.mute(muted)
        return stay

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(stay.leave() for stay in tuple(self._stays)))
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=LEAVE_S)
        await self._parts.anchors.close()

    # ------------------------------------------------------------ one attempt

    async def _enter(self, join: Join, opened: Opened, ear: StayEar) -> SipStay:
        hexes = self._parts.chances.hexes
        attempt = Attempt(f"room_{hexes(32)}", opened, join.url, hexes(32), TAKE_S)

        async def left() -> None:
            self._stays.discard(stay)
            await self._way.let_go(attempt, alone=not self._replaced(stay))

        stay = SipStay(attempt.call_id, opened, ear, self._stage, left, told=self._way.told)
        self._stays.add(stay)
        try:
            await self._bring(attempt, stay)
            stay.begin(await self._look(opened))
        except BaseException:  # why: cancelled too, nothing half-made stays at the server; it is raised on
            leaving = self._run(stay.leave())
            if not self._way.told:  # why: the other way has the same identity, which is removed first
                await asyncio.shield(leaving)
            raise
        if self._way.told:
            self._run(self._introduce(opened))
        return stay

    async def _bring(self, attempt: Attempt, stay: SipStay) -> None:
        """Back once it was taken. What is said of the room is looked at: the service says so for much else,
        too, and a switch that it calls knows of no rooms."""
        try:
            await self._way.bring(attempt, stay)
        except NotAdmitted as refusal:
            if refusal.why != "no_room" and (self._way.told or refusal.why == "refused"):
                raise
            seen = await self._why_busy(attempt.opened.room)
            raise NotAdmitted(
                refusal.why if (seen, refusal.why) == ("unreachable", "timeout") else seen
            ) from None

    async def _why_busy(self, room: str) -> str:
        """The service says so where the room is not there, where it is full, and for much else."""
        view = await self._stage.eyes.look(room)
        if view is None:
            return "no_room"
        return "full" if view.full else "unreachable"

    def _replaced(self, stay: SipStay) -> bool:
        """Whether another telephone has the same place, or is about to."""
        others = (one for one in self._stays if one is not stay)
        return any(one.place == stay.place and one.connected for one in others)

    async def _look(self, opened: Opened) -> View:
        """The room with the telephone in it. Whoever is not where they should be is nowhere: rules of others
        may lead elsewhere."""
        until = self._parts.mono() + SEEN_S
        while True:  # why: the media server lists who came in a little later than they are there
            view = await self._stage.eyes.look(opened.room)
            if view is None:
                raise NotAdmitted("no_room")
            if view.here(opened.identity) is not None:
                return view
            if self._parts.mono() >= until:
                _log.error("trunk.led_elsewhere")
                raise NotAdmitted("unreachable")
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _introduce(self, opened: Opened) -> None:
        try:
            if opened.name:
                async with asyncio.timeout(INTRODUCE_S):
                    await self._parts.keeper.desk.introduce(opened.room, opened.identity, opened.name)
        except (PatchbayError, TimeoutError) as failure:
            _log.warning("trunk.not_introduced", why=type(failure).__name__)

    def _failed(self, why: str) -> NotAdmitted:
        if why in ELSEWHERE and self._parts.rests:
            self._rests_until = self._parts.mono() + REST_S
        _log.warning("trunk.not_taken", why=why)
        return NotAdmitted(why)

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("trunk.task_failed", exc_info=fault)


class Ladder:
    """Fits ``RoomDoor``: one way, and where that says nothing about the room, the other. ``alone``: for
    telephones the first is the only one."""

    def __init__(self, first: SipDoor, then: RoomDoor, *, alone: bool = False) -> None:
        self._first, self._then, self._alone = first, then, alone
        self.joins: Counter[tuple[str, str]] = Counter()
        """Attempts of those who can come by both, by way (``sip``, ``bridge``) and outcome: ``joined``, or as
        in ``JoinFailed``."""
        self.fallbacks: Counter[str] = Counter()
        """Times that the other way was taken: after an attempt (as in ``JoinFailed``), or ``closed``."""

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> RoomStay:
        if not self._first.knows(join.identity):
            return await self._then.enter(join, ear, muted=muted)
        if self._alone:
            return await self._counted("sip", self._first, join, ear, muted)
        why = "closed"
        if self._first.open:
            try:
                return await self._counted("sip", self._first, join, ear, muted)
            except NotAdmitted as refusal:
                if refusal.why not in ELSEWHERE:
                    raise
                why = refusal.why
        self.fallbacks[why] += 1
        return await self._counted("bridge", self._then, join, ear, muted)

    async def _counted(self, way: str, door: RoomDoor, join: Join, ear: StayEar, muted: bool) -> RoomStay:
        try:
            stay = await door.enter(join, ear, muted=muted)
        except NotAdmitted as refusal:
            self.joins[way, refusal.why] += 1
            raise
        self.joins[way, "joined"] += 1
        return stay

    async def close(self) -> None:
        await self._first.close()
        await self._then.close()
