"""One telephone's stay in a room by LiveKit's SIP service: our own end of the switch's call, as ``RoomStay``.

What it hears is the mix of all others that the service makes, so there is one voice to listen to. Everything
else that a participant knows by itself is asked of the media server.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from telephony.causes import Cause
from telephony.errors import PatchbayError
from video_rooms.core.feed import Brake
from video_rooms.core.trunk_ends import why_not
from video_rooms.core.trunk_pass import Opened
from video_rooms.core.visit_inside import MUTED
from video_rooms.ports import RoomServer
from video_rooms.ports_media import NotAdmitted, StayEar, SwitchLeg
from video_rooms.ports_trunk import TrunkDesk
from video_rooms.siptrunk.eyes import Eyes, View

_log = structlog.get_logger("rooms.trunk")
VOICE: Final = "mix"
UNMUTED_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.05
ENDS_S: Final = 0.7
"""How long a room that ends may be listed after its people have left it: whoever was put out of an empty one
is told so within a second."""
_TOLD_S: Final = 2.0
"""How long our own end may be gone before the switch's word for the call's end comes: the two come by
different ways, and on a busy machine one is later than the other by half a second and more."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What every stay stands on. ``run`` keeps a task until it is over; ``replaced`` says whether somebody
    else has a stay's place."""

    server: RoomServer
    desk: TrunkDesk
    eyes: Eyes
    run: Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
    replaced: Callable[[SipStay], bool]


class SipStay:
    """Fits ``RoomStay``, ``SwitchEar``, ``TrunkEar`` and ``Watcher``. ``left``: what else is to be done once
    it is over. ``told``: whether the switch tells what became of the call; otherwise all that is heard is the
    end of our own end."""

    def __init__(
        self,
        call_id: str,
        opened: Opened,
        ear: StayEar,
        stage: Stage,
        left: Callable[[], Coroutine[None, None, None]],
        *,
        told: bool = True,
    ) -> None:
        self.call_id = call_id
        self._opened, self._ear, self._stage, self._left = opened, ear, stage, left
        self._told = told
        self.has_come = False
        """Whether the switch has brought our own end."""
        self._loop = asyncio.get_running_loop()
        self._leg: SwitchLeg | None = None
        self._push: Callable[[bytes], None] | None = None
        self._brake = Brake()
        self._muted = False
        self._server_muted = False
        self._trusts = 0.0
        """The first look that is asked whether a host has muted it."""
        self._view = View((), recording=False)
        self._over = False
        self._hung_up = False
        """The switch has told the call's end."""
        self._leaving: asyncio.Task[None] | None = None
        self._shown: asyncio.Task[None] | None = None
        self.answer: asyncio.Future[None] = self._loop.create_future()
        """Done once it was taken; ``NotAdmitted`` where it was not."""

    # ------------------------------------------------------------ what is known

    @property
    def room(self) -> str:
        """A hall of its own: nobody else of this process is to be heard besides the mix, which has them."""
        return f"sip {self.call_id}"

    @property
    def identity(self) -> str:
        return self._opened.identity

    @property
    def place(self) -> tuple[str, str]:
        """What one stay at a time can have."""
        return self._opened.room, self._opened.identity

    @property
    def others(self) -> int:
        return self._view.others(self.identity)

    @property
    def recording(self) -> bool:
        return self._view.recording

    @property
    def may_hear(self) -> bool:
        return not self._over

    @property
    def connected(self) -> bool:
        return not self._over

    @property
    def published(self) -> Mapping[str, str]:
        return {} if self._over else {VOICE: ""}

    # ------------------------------------------------------------ what is done

    def fetch(self, track: str) -> None:
        """It is sent whether it is heard or not."""

    def hear(self, track: str, push: Callable[[bytes], None] | None) -> None:
        if track == VOICE:
            self._push = push

    def drop(self, track: str) -> None:
        self.hear(track, None)

    def say(self, frame: bytes) -> None:
        leg = self._leg
        if leg is None or self._muted or self._over:
            return
        if not self._brake.holds_back(leg.queued_ms, frame):
            leg.play(frame)

    def mute(self, on: bool) -> None:
        """The service mutes no track: an attribute shows it, nothing is sent, and a host's mute is taken
        back."""
        if on != self._muted:
            self._muted = on
            self.show({MUTED: "true" if on else "false"})
        if not on and self._server_muted and not self._over:
            self._server_muted, self._trusts = False, math.inf
            self._stage.run(self._unmute())

    def show(self, attributes: Mapping[str, str]) -> None:
        if not self._over:
            self._shown = self._stage.run(self._show(dict(attributes), self._shown))

    async def leave(self) -> None:
        """However often: once."""
        if self._leaving is None:
            self._leaving = self._loop.create_task(self._leave())
        await asyncio.shield(self._leaving)

    # ------------------------------------------------------------ our own end, in the switch

    def arrived(self, leg: SwitchLeg) -> None:
        self._leg, self.has_come = leg, True
        if self._over:
            leg.hang_up()
        else:
            leg.answer()

    def audio(self, frame: bytes) -> None:
        if self._push is not None:
            self._push(frame)

    def digit(self, digit: str) -> None: ...

    def mark(self, name: str, heard: bool) -> None: ...

    def gone(self, why: str) -> None:
        self._leg = None
        if self._told:
            self._loop.call_later(_TOLD_S, self._lost)
        elif not self._over and self.answer.done():
            self._stage.run(self._put_out(Cause.NORMAL_CLEARING if why == "hangup" else None))
        elif not self._over:
            self._lost()

    # ------------------------------------------------------------ the call

    def taken(self) -> None:
        if not self.answer.done():
            self.answer.set_result(None)

    def over(self, cause: int | None) -> None:
        self._hung_up = True
        if not self.answer.done():
            self.answer.set_exception(NotAdmitted(why_not(cause)))
        elif not self._over:
            self._stage.run(self._put_out(cause))

    def _lost(self) -> None:
        """Our own end is gone, and the switch has told nothing."""
        if not self.answer.done():
            self.answer.set_exception(NotAdmitted("unreachable"))
        elif not self._hung_up:  # else why is being found out
            self._tell_out("lost")

    async def _put_out(self, cause: int | None) -> None:
        why = "lost"
        if cause == Cause.NORMAL_CLEARING:
            with contextlib.suppress(PatchbayError):
                why = await self._why_ended()
        self._tell_out(why)

    async def _why_ended(self) -> str:
        """A room that ends is there a little longer than its people: one that empties is looked at again."""
        until, before = self._loop.time() + ENDS_S, -1
        while True:
            view = await self._stage.eyes.look(self._opened.room)
            if view is None:
                return "room_ended"
            why, left = self._why_gone(view), len(view.people)
            if why != "removed" or left == before > 0 or self._loop.time() >= until:
                return why
            before = left
            await asyncio.sleep(LOOK_AGAIN_S)

    def _why_gone(self, view: View) -> str:
        """Who is still listed was not put out: the call broke, or another has the place."""
        if self._stage.replaced(self):
            return "replaced"
        return "removed" if self._told or view.here(self.identity) is None else "lost"

    def _tell_out(self, why: str) -> None:
        if not self._over:
            self._over = True
            self._stage.eyes.forget(self._opened.room, self)
            self._ear.put_out(why)

    # ------------------------------------------------------------ the room

    def begin(self, view: View) -> None:
        """It is in the room, which looks like this."""
        self._view = view
        self._server_muted = view.muted(self.identity)
        self._stage.eyes.watch(self._opened.room, self)

    def seen(self, view: View) -> None:
        before = (self.others, self.recording)
        self._view = view
        if (self.others, self.recording) != before:
            self._ear.crowd()
        muted = view.muted(self.identity)
        known = view.here(self.identity) is not None and view.turn >= self._trusts
        if known and muted != self._server_muted:
            self._server_muted = muted
            self._ear.track_muted(muted)

    async def _show(self, attributes: dict[str, str], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await self._stage.server.update(self._opened.room, self.identity, attributes=attributes)
        except PatchbayError as failure:
            _log.warning("stay.not_shown", code=failure.code)

    async def _unmute(self) -> None:
        """What was seen before it took effect is no host's new mute."""
        try:
            if await self._stage.desk.unmute(self._opened.room, self.identity):
                await self._seen_unmuted()
            else:
                _log.warning("stay.not_unmuted")
        except PatchbayError as failure:
            _log.warning("stay.not_unmuted", code=failure.code)
        finally:
            self._trusts = self._stage.eyes.turn + 1

    async def _seen_unmuted(self) -> None:
        """Wait, though not for long: the media server lists it a little later."""
        until = self._loop.time() + UNMUTED_S
        while self._loop.time() < until:
            view = await self._stage.eyes.look(self._opened.room)
            if view is None or not view.muted(self.identity):
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _leave(self) -> None:
        self._over = True
        self._push = None
        self._stage.eyes.forget(self._opened.room, self)
        if not self.answer.done():
            self.answer.set_exception(NotAdmitted("unreachable"))
        if not self.answer.cancelled():
            self.answer.exception()  # why: it has been dealt with, or nobody wants to know any more
        if self._leg is not None:
            self._leg.hang_up()
        await self._left()
