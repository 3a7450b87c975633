"""Where a call to a proxy number goes. Fits ``dialplan.ports.RouteBook``; other numbers go to another book.

A caller whom a session knows is connected at once. Everybody else climbs the ladder
(``proxy_pool.core.ladder``), one question of the switch after another. Where a caller stands on it is kept
here, by channel and bounded; after a restart that is lost, and who was on the ladder is turned away.
Whatever was found on the way is looked up once more before anybody is connected after a wait.

What callers hear who are not connected is in ``gateway.masked_answers``.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from dialplan.core.call import Call
from dialplan.core.routing import Offered, RouteFacts
from dialplan.ports import RouteBook
from gateway.masked_answers import NO_TRUNK, Answers
from gateway.masked_callers import Attempter, AttemptLimits, Caller, caller_of
from gateway.masked_doors import Behind, ByKey, Doors, Ticket
from gateway.masked_questions import Outcome, Questions
from proxy_pool.core.ladder import Heard, Progress, Rung, hear, participant, stranger, turned_away
from proxy_pool.core.number import PoolNumber
from proxy_pool.core.party import EXTENSION, PIN
from proxy_pool.core.reach import NeedsPin, Refused
from proxy_pool.core.session import Session
from proxy_pool.core.settings import UnknownCallers
from telephony.errors import InvalidInput
from telephony.ids import ChannelId
from telephony.numbers import E164

WALKS_LIMIT: Final = 10_000
"""Most callers on the ladder at once; the one who has not been heard of for longest is forgotten first."""
WALK_S: Final = 600.0
"""Nobody comes back from a detour later than this."""
HOOK_WAIT_S: Final = 0.12
"""How long a question of the switch waits for the application; the caller hears nothing meanwhile."""
_DIGITS: Final = range(2, 11)
"""How many digits an extension or a PIN has."""


def _no_step(session: Session, seat: int, reason: str) -> None:
    """The call's own record says it all."""


@dataclass(frozen=True, slots=True)
class MaskedParts:
    """What the book stands on.

    ``other`` answers for numbers that are not in the pool. ``number_of`` gives a proxy number of any
    tenant, from memory. ``now``: epoch seconds. ``on_refused`` is told the session, the caller's seat
    and the reason when a participant is not let through.
    """

    other: RouteBook
    number_of: Callable[[E164], PoolNumber | None]
    doors: Doors
    questions: Questions
    limits: AttemptLimits
    answers: Answers
    now: Callable[[], float]
    on_refused: Callable[[Session, int, str], None] = _no_step
    caller_of: Callable[[Offered], Caller] = caller_of


@dataclass(slots=True)
class _Walk:
    """A caller's way up the ladder. ``behind`` is what was just found, None once time has passed since."""

    number: PoolNumber
    who: Attempter
    unknown: UnknownCallers
    progress: Progress
    ticket: Ticket | None = None
    behind: Behind | None = None
    sound: str = ""
    asking: asyncio.Task[Outcome] | None = None
    asked_at: float = 0.0
    looks: int = 0
    touched_at: float = 0.0


class MaskedRoutes:
    """The book. ``tally`` counts how calls to proxy numbers were answered, by rung or reason."""

    def __init__(self, parts: MaskedParts) -> None:
        self._p = parts
        self._walks: OrderedDict[ChannelId, _Walk] = OrderedDict()
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self.tally: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many callers are on the ladder."""
        return len(self._walks)

    async def facts_for(self, offered: Offered) -> RouteFacts:
        """The first answer. Raises StorageUnavailable where a look-up needs the ledger and it is away."""
        number = self._number(offered)
        if number is None:
            return await self._p.other.facts_for(offered)
        walk = await self._begin(offered, number)
        return await self._climb(offered.channel, walk)

    async def go_on(self, offered: Offered, call: Call, digits: str) -> RouteFacts:
        """The answer to somebody who comes back from a detour."""
        walk = self._walks.pop(offered.channel, None)
        if walk is None:
            number = self._number(offered)
            if number is None:
                return await self._p.other.go_on(offered, call, digits)
            self.tally["place_lost"] += 1
            return self._p.answers.turned_away(number, "place_lost")
        walk.behind = None
        if walk.asking is None:
            walk.progress = hear(walk.progress, await self._judged(walk, digits))
        return await self._climb(offered.channel, walk)

    async def stop(self) -> None:
        """Let go of whatever is still being asked."""
        self._walks.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _number(self, offered: Offered) -> PoolNumber | None:
        """The proxy number that was dialled. Only a number that is wholly the same is one."""
        digits = offered.dialled.lstrip("+")
        try:
            return self._p.number_of(E164("+" + digits.removeprefix("00")))
        except InvalidInput:
            return None

    # ------------------------------------------------------------ the first step

    async def _begin(self, offered: Offered, number: PoolNumber) -> _Walk:
        p = self._p
        unknown = (await p.doors.desk.settings(number.tenant)).unknown
        who = Attempter(number.tenant, number.number, p.caller_of(offered))
        walk = _Walk(number, who, unknown, turned_away("loop"))
        if who.caller.number is not None and p.doors.ours(who.caller.number):
            return walk
        behind = await p.doors.arriving(who, number.use)
        if behind is None or behind.stranger:
            may = await p.limits.may_call(who, unknown)
            walk.progress = stranger(unknown, number.use) if may else turned_away("too_many_calls")
            return walk
        walk.behind, walk.ticket = behind, behind.ticket
        if isinstance(behind.way, Refused):
            walk.progress = Progress((Rung.CONNECT,))
        else:
            walk.progress = participant(unknown, proof=isinstance(behind.way, NeedsPin))
        return walk

    # ------------------------------------------------------------ one rung after another

    async def _climb(self, channel: ChannelId, walk: _Walk) -> RouteFacts:
        """Go on until there is something to tell the switch."""
        while True:
            answer = await self._answer(walk)
            if answer is None:
                continue
            if not walk.progress.over and walk.progress.rung not in (Rung.FALLBACK, Rung.ANNOUNCEMENT):
                self._keep(channel, walk)
            return answer

    async def _answer(self, walk: _Walk) -> RouteFacts | None:
        """The present rung's answer to the switch; None after a step to another rung."""
        answers, number = self._p.answers, walk.number
        match walk.progress.rung:
            case Rung.INTERCEPT | Rung.CALLBACK:
                return await self._asked(walk)
            case Rung.PROOF | Rung.PIN | Rung.EXTENSION:
                return answers.question(number, walk.progress)
            case Rung.FALLBACK:
                return self._fallback(walk)
            case Rung.ANNOUNCEMENT:
                self.tally["announcement"] += 1
                return answers.said(number, walk.unknown.announcement)
            case Rung.SAY:
                self.tally["announcement"] += 1
                return answers.said(number, walk.sound)
            case Rung.CONNECT:
                return await self._connected(walk)
            case Rung.REJECT:
                self.tally[walk.progress.why] += 1
                return answers.turned_away(number, walk.progress.why)

    def _fallback(self, walk: _Walk) -> RouteFacts | None:
        """Never in a circle, never to an emergency service, never back to the caller."""
        to, doors = walk.unknown.fallback, self._p.doors
        barred = to is None or doors.ours(to) or doors.emergency(to) or to == walk.who.caller.number
        facts = None if to is None or barred else self._p.answers.fallback(walk.number, to)
        if facts is None:
            walk.progress = hear(walk.progress, Heard.WRONG)
        else:
            self.tally["fallback"] += 1
        return facts

    async def _connected(self, walk: _Walk) -> RouteFacts:
        """The last look: whoever is not let through now is told so, or turned away as any stranger is."""
        behind = walk.behind
        if behind is None and walk.ticket is not None:
            behind = await self._p.doors.look(walk.who, walk.ticket)
        if behind is None or behind.stranger or isinstance(behind.way, NeedsPin):
            self.tally["session_ended"] += 1
            return self._p.answers.turned_away(walk.number, "session_ended")
        if isinstance(behind.way, Refused):
            return self._refused(walk, behind, str(behind.way.reason))
        facts = self._p.answers.connected(walk.number, behind.session, behind.way)
        if facts is None:
            return self._refused(walk, behind, NO_TRUNK)
        self.tally["connected"] += 1
        return facts

    def _refused(self, walk: _Walk, behind: Behind, reason: str) -> RouteFacts:
        self.tally[reason] += 1
        self._p.on_refused(behind.session, behind.seat, reason)
        return self._p.answers.refused(walk.number, behind.session, behind.seat, reason)

    # ------------------------------------------------------------ digits

    async def _judged(self, walk: _Walk, digits: str) -> Heard:
        """What the digits come to. None typed, or what cannot be a PIN, is wrong and no attempt."""
        if not (digits.isascii() and digits.isdigit() and len(digits) in _DIGITS):
            return Heard.WRONG
        p, who = self._p, walk.who

        async def look() -> Behind | None:
            match walk.progress.rung:
                case Rung.PROOF:
                    return await self._proven(walk, digits)
                case Rung.EXTENSION:
                    return await p.doors.let_in(who, ByKey(f"{EXTENSION}{digits}"))
                case _:
                    return await p.doors.let_in(who, ByKey(f"{PIN}{digits}", pin_shown=True))

        found = await p.limits.guess(who, walk.unknown, look)
        if found is None:
            return Heard.WRONG
        walk.behind, walk.ticket = found, found.ticket
        return Heard.FOUND

    async def _proven(self, walk: _Walk, digits: str) -> Behind | None:
        """The caller's own way in, once the digits are the PIN of the own seat."""
        if not isinstance(walk.ticket, ByKey):
            return None
        behind = await self._p.doors.look(walk.who, walk.ticket)
        if behind is None or not isinstance(behind.way, NeedsPin) or not behind.way.shown_by(digits):
            return None
        return await self._p.doors.let_in(walk.who, ByKey(walk.ticket.key, pin_shown=True))

    # ------------------------------------------------------------ the application

    async def _asked(self, walk: _Walk) -> RouteFacts | None:
        """Ask in the background, and have the caller wait while there is no answer.

        Two waits at most: a second, then what is left of the time that the application has.
        """
        if walk.asking is None:
            walk.asking = self._spawn(self._question(walk))
            walk.asked_at, walk.looks = self._p.now(), 0
        done, _ = await asyncio.wait({walk.asking}, timeout=HOOK_WAIT_S)
        walk.behind = None
        if not done and walk.looks < 2:
            walk.looks += 1
            left = walk.asked_at + walk.unknown.hook_timeout_s - self._p.now()
            return self._p.answers.later(walk.number, 1 if walk.looks == 1 else max(1, math.ceil(left)))
        outcome = walk.asking.result() if done else Outcome(Heard.AWAY)
        walk.asking = None
        if outcome.ticket is not None:
            walk.ticket = outcome.ticket
        walk.sound = outcome.sound
        walk.progress = hear(walk.progress, outcome.heard)
        return None

    def _question(self, walk: _Walk) -> Coroutine[Any, Any, Outcome]:
        if walk.progress.rung is Rung.INTERCEPT:
            return self._p.questions.intercept(walk.who, walk.unknown, walk.behind)
        return self._p.questions.callback(walk.who, walk.unknown)

    def _spawn(self, question: Coroutine[Any, Any, Outcome]) -> asyncio.Task[Outcome]:
        task = asyncio.create_task(question, name="masking-hook")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _keep(self, channel: ChannelId, walk: _Walk) -> None:
        now = self._p.now()
        walk.touched_at = now
        self._walks[channel] = walk
        self._walks.move_to_end(channel)
        while len(self._walks) > WALKS_LIMIT or next(iter(self._walks.values())).touched_at < now - WALK_S:
            self._walks.popitem(last=False)
