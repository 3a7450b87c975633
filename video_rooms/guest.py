"""One telephone's visit, lived: facts come in, the machine decides, and what it orders is carried out.

Facts are judged one after another, at once; what takes its time (a number's judgement, a pass, a sound that
was never spoken, the roster) runs beside, and comes back as a fact. The roster's writes keep their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from telephony.errors import Conflict, NotFound, PatchbayError, StorageUnavailable, TooMany
from telephony.ids import TenantId
from video_rooms.core import roster, told
from video_rooms.core.leg import HangUp, Join, JoinFailed, LegOrder, PlaySounds, SoundsDone
from video_rooms.core.room import Person, Presence, Role
from video_rooms.core.visit import Step, deadline, step
from video_rooms.core.visit_words import (
    AskPin,
    CameIn,
    EndCall,
    Enter,
    Judged,
    Opening,
    Say,
    ShowPerson,
    Stage,
    TellFailed,
    Tick,
    Visit,
    VisitFact,
    VisitOrder,
    Why,
)
from video_rooms.core.wishes import JoinWish
from video_rooms.phone_sounds import PhoneSounds
from video_rooms.ports import Entrance, LegCarrier, PeopleStore, PinBook, RoomAnnouncer, RoomCalls

_log = structlog.get_logger("rooms.phones")
_WRITE_TRIES: Final = 5
_WRITE_AGAIN_S: Final = 1.0
_WHY_LEFT: Final = {
    Why.HANGUP.value: roster.LEFT,
    Why.REMOVED.value: roster.KICKED,
    Why.ENDED.value: roster.ROOM_ENDED,
    Why.DENIED.value: roster.DENIED,
    Why.LOST.value: roster.LOST,
    Why.LEG_LOST.value: roster.LOST,
}
"""Why a line says that somebody left, where that has a word for all."""


async def _is_gone(live_name: str, identity: str) -> None:
    """Whoever left is taken at their word."""


@dataclass(frozen=True, slots=True)
class PhoneSurroundings:
    """What every visit stands on. ``now``: seconds that never go back; ``wall``: the moment, in UTC.
    ``see_off``: have the media server put out whoever it still shows (live name, identity); never raises."""

    carrier: LegCarrier
    pins: PinBook
    entrance: Entrance
    people: PeopleStore
    announcer: RoomAnnouncer
    sounds: PhoneSounds
    calls: RoomCalls
    now: Callable[[], float]
    wall: Callable[[], datetime]
    see_off: Callable[[str, str], Awaitable[None]] = _is_gone


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """The call that a visit is part of. ``caller``: E.164, ``phone:NAME``, or empty where it is withheld;
    ``line``: the dial-in number. ``longest_s``: how long the visit may last."""

    call_id: str
    tenant: TenantId
    identity: str
    name: str
    longest_s: float
    caller: str = field(default="", repr=False)
    line: str = ""
    language: str = "en"
    role: Role = Role.PHONE


class Guest:
    """``on_over`` is called once, when the visit is over."""

    def __init__(
        self, call: PhoneCall, visit: Visit, around: PhoneSurroundings, on_over: Callable[[Guest], None]
    ) -> None:
        self.call = call
        self.visit = visit
        self._around = around
        self._on_over = on_over
        self._session = ""
        self._inbox: deque[VisitFact] = deque()
        self._judging = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: deque[tuple[ShowPerson, Visit, str]] = deque()
        self._writing: asyncio.Task[None] | None = None

    @property
    def room_id(self) -> str:
        """Where it leads; "" while that is not known."""
        return "" if self.visit.opening is None else self.visit.opening.room_id

    @property
    def session(self) -> str:
        """The live name of the room that was entered, or was about to be."""
        return self._session

    @property
    def over(self) -> bool:
        return self.visit.stage is Stage.OVER

    def begin(self, session: str = "") -> None:
        """From now on time passes. ``session``: the live name of a room that is known beforehand."""
        self._session = session
        self._arm()

    def take(self, fact: VisitFact) -> None:
        """Judge a fact, and carry out what is ordered. Never waits, never raises."""
        self._inbox.append(fact)
        if self._judging:
            return
        self._judging = True
        try:
            while self._inbox:
                self._judge(self._inbox.popleft())
        finally:
            self._judging = False
        self._arm()

    async def settle(self, patience_s: float) -> None:
        """Wait until what runs beside is done, for so many seconds at most."""
        running = [*self._tasks, *([self._writing] if self._writing is not None else [])]
        if running:
            await asyncio.wait(running, timeout=patience_s)
        for task in running:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()

    # ------------------------------------------------------------ one fact

    def _judge(self, fact: VisitFact) -> None:
        before = self.visit
        try:
            decided: Step = step(before, fact, self._around.now())
        except Exception:  # noqa: BLE001  # why: whatever broke, the telephone must not be left in silence
            _log.exception("phone.broken", call_id=self.call.call_id, stage=before.stage.value)
            decided = _broken(before)
        self.visit, orders = decided
        if self.visit.stage is not before.stage:
            _log.info(
                "phone.stage",
                call_id=self.call.call_id,
                stage=self.visit.stage.value,
                room_id=self.room_id or None,
                why=self.visit.why or None,
            )
        for order in orders:
            self._carry_out(order)
        if self.over and before.stage is not Stage.OVER:
            self._on_over(self)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = deadline(self.visit)
        if due is not None:
            wait_s = max(0.0, due - self._around.now())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.take, Tick())

    def _carry_out(self, order: VisitOrder) -> None:
        match order:
            case Say():
                self._say(order)
            case AskPin(pin):
                self._beside(self._ask(pin))
            case Enter():
                self._beside(self._enter())
            case ShowPerson():
                self._show(order)
            case CameIn():
                self._around.calls.entered(self.call.call_id, self.room_id)
            case TellFailed(why):
                self._tell_failed(why)
            case EndCall(why):
                self._around.calls.end(self.call.call_id, why)
            case _:
                self._order(order)

    def _order(self, order: LegOrder) -> None:
        self._around.carrier.order(self.call.call_id, order)

    def _beside(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work, name=f"phone-{self.call.call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------ sounds

    def _say(self, order: Say) -> None:
        paths = self._around.sounds.ready(order.lines, self.call.language)
        if paths is not None:
            self._order(PlaySounds(order.id, paths))
        else:
            self._beside(self._speak(order))

    async def _speak(self, order: Say) -> None:
        paths = await self._around.sounds.files(order.lines, self.call.language)
        if self.visit.says == order.id:
            self._order(PlaySounds(order.id, paths))
        else:  # something else is being said by now
            self.take(SoundsDone(order.id, cut=True))

    # ------------------------------------------------------------ the number, the door

    async def _ask(self, pin: str) -> None:
        call = self.call
        try:
            judged = await self._around.pins.judge(call.tenant, pin, call.caller, call.line)
        except PatchbayError as error:
            _log.warning("pin.not_judged", call_id=call.call_id, code=error.code)
            self.take(Judged(None, Why.UNAVAILABLE))
            return
        if judged.room is None:
            self.take(Judged(None, judged.why))
            return
        self._session = judged.room.live_name
        self.take(Judged(Opening(judged.room.id, judged.wait)))

    async def _enter(self) -> None:
        call = self.call
        wish = JoinWish(call.identity, call.name, call.role)
        try:
            opened = await self._around.entrance.join(call.tenant, self.room_id, wish)
        except PatchbayError as error:
            _log.warning("phone.not_let_in", call_id=call.call_id, code=error.code)
            self.take(JoinFailed(_why_not(error)))
            return
        if self.visit.stage is Stage.ENTERING:
            self._session = opened.room.live_name
            self._order(Join(opened.url, opened.token, opened.identity))

    # ------------------------------------------------------------ the roster

    def _show(self, order: ShowPerson) -> None:
        self._lines.append((order, self.visit, self._session))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name=f"roster-{self.call.call_id}")

    async def _write(self) -> None:
        while self._lines:
            shown, visit, session = self._lines.popleft()
            for attempt in range(_WRITE_TRIES):
                try:
                    await self._write_one(shown, visit, session)
                    break
                except StorageUnavailable:
                    _log.warning("roster.not_written", call_id=self.call.call_id, attempt=attempt + 1)
                    await asyncio.sleep(_WRITE_AGAIN_S)
            else:
                _log.error("roster.line_lost", call_id=self.call.call_id, presence=shown.presence.value)

    async def _write_one(self, shown: ShowPerson, visit: Visit, session: str) -> None:
        assert visit.opening is not None, "who is on a roster is known to be in a room"
        before: list[Person | None] = [None]

        def edit(line: Person | None) -> Person:
            before[0] = line
            return self._line(line, shown, visit, session)

        after = await self._around.people.change(visit.opening.room_id, self.call.identity, edit)
        for kind, line in roster.told(before[0], after):
            self._around.announcer.tell(self.call.tenant, kind, line.room_id, told.person_told(line))

    def _line(self, line: Person | None, shown: ShowPerson, visit: Visit, session: str) -> Person:
        """The line once this is on it. What the media server told of the same coming is kept."""
        assert visit.opening is not None
        call, at = self.call, self._around.wall()
        known = line or Person(visit.opening.room_id, call.identity, call.name, call.role, shown.presence)
        known = replace(known, call_id=call.call_id, session=session or known.session)
        if shown.presence is Presence.LEFT:
            return roster.left(known, at, _WHY_LEFT.get(shown.why, shown.why))
        if shown.presence is not Presence.JOINED:
            return replace(known, presence=shown.presence)
        return replace(
            known,
            presence=Presence.JOINED,
            joined_at=known.joined_at or at,
            left_at=None,
            why_left=None,
            muted=visit.muted,
            hand_raised=visit.hand,
        )

    def _tell_failed(self, why: str) -> None:
        call = self.call
        if call.role is not Role.PHONE:
            return  # why: the events of its session tell
        body = told.failed_told(call.identity, call.name, call.call_id, why)
        self._around.announcer.tell(call.tenant, "room.phone.failed", self.room_id, body)


def _broken(visit: Visit) -> Step:
    """The end of a visit that cannot be judged any more."""
    off: tuple[VisitOrder, ...] = (ShowPerson(Presence.LEFT, Why.LEG_LOST),) if visit.listed else ()
    over = replace(visit, stage=Stage.OVER, why=Why.LEG_LOST.value, listed=False, says="")
    return over, (*off, EndCall(Why.LEG_LOST), HangUp())


def _why_not(error: PatchbayError) -> str:
    """Why the door did not open, in the words of ``JoinFailed``."""
    match error:
        case NotFound():
            return "no_room"
        case Conflict() | TooMany():
            return "full"
    return "unreachable"
