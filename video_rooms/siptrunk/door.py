"""Rooms entered by LiveKit's SIP service: the switch calls it, and our own end of the call is a media socket.

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
from video_rooms.ports_trunk import TrunkCall, TrunkCalls
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.eyes import Eyes, View
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import SipStay, Stage

_log = structlog.get_logger("rooms.trunk")
TAKE_S: Final = 4.0
"""How long the service may take: it answers within 0.1 s, and another way must have its time, too."""
RING_S: Final = 3
REST_S: Final = 30.0
"""How long a service that failed is left alone."""
LEAVE_S: Final = 3.0
SEEN_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class DoorParts:
    """What the door stands on. ``port``: where the switch brings our own ends of calls; ``mono``: seconds
    that never go back."""

    port: SwitchPort
    calls: TrunkCalls
    keeper: TrunkKeeper
    server: RoomServer
    anchors: Anchors
    names: TrunkNames
    chances: Chances
    mono: Callable[[], float]


class SipDoor:
    """Fits ``RoomDoor``."""

    def __init__(self, parts: DoorParts) -> None:
        self._parts = parts
        self._tasks: set[asyncio.Task[None]] = set()
        self._stays: set[SipStay] = set()
        self._rests_until = float("-inf")
        self._closed = False
        self._stage = Stage(parts.server, parts.keeper.desk, Eyes(parts.server), self._run)

    def __len__(self) -> int:
        return len(self._stays)

    @property
    def open(self) -> bool:
        """Whether it is worth a try."""
        parts = self._parts
        return not self._closed and parts.keeper.ready and not self.resting

    @property
    def resting(self) -> bool:
        """Whether the service is left alone, since it failed a moment ago."""
        return self._parts.mono() < self._rests_until

    def knows(self, identity: str) -> bool:
        """Whether this is a telephone that can come in by SIP."""
        return self._parts.names.caller_of(identity) is not None

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> SipStay:
        parts, opened = self._parts, read_pass(join.token)
        caller = parts.names.caller_of(join.identity)
        if opened is None or caller is None or not self.open:
            raise NotAdmitted("unreachable")
        try:
            async with asyncio.timeout(TAKE_S):
                stay = await self._enter(join, opened, caller, ear)
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

    async def _enter(self, join: Join, opened: Opened, caller: str, ear: StayEar) -> SipStay:
        await self._parts.anchors.hold(opened.room, join.url)
        token = self._parts.chances.hexes(32)
        call_id = f"room_{self._parts.chances.hexes(32)}"

        async def left() -> None:
            self._stays.discard(stay)
            self._parts.port.forget(token)
            self._parts.calls.forget(call_id)
            await self._parts.anchors.release(opened.room)

        stay = SipStay(call_id, opened, ear, self._stage, left)
        self._stays.add(stay)
        try:
            await self._dial(stay, opened, caller, token)
            stay.begin(await self._look(opened))
        except BaseException:  # why: cancelled too, nothing half-made stays at the server; it is raised on
            self._run(stay.leave())
            raise
        self._run(self._introduce(opened))
        return stay

    async def _dial(self, stay: SipStay, opened: Opened, caller: str, token: str) -> None:
        """Back once it was taken. The rule that lets it in is gone then, whatever came of it."""
        parts = self._parts
        rule = await parts.keeper.open(opened.room, caller=caller, attributes=opened.attributes)
        try:
            parts.port.expect(token, stay, TAKE_S)
            call = TrunkCall(
                stay.call_id,
                parts.port.dial_string(token),
                parts.keeper.number,
                caller,
                stay.call_id,
                opened.name,
                RING_S,
            )
            await parts.calls.place(call, stay)
            await stay.answer
        except NotAdmitted as refusal:
            if refusal.why == "no_room" and await self._stage.eyes.look(opened.room) is not None:
                raise NotAdmitted("unreachable") from None  # why: the service says so for much else, too
            raise
        finally:
            self._run(parts.keeper.shut(rule))

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
                await self._parts.keeper.desk.introduce(opened.room, opened.identity, opened.name)
        except PatchbayError as failure:
            _log.warning("trunk.not_introduced", code=failure.code)

    def _failed(self, why: str) -> NotAdmitted:
        if why in ELSEWHERE:
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
