"""Round after round: sessions are opened, their people call and write, the sessions end, all is searched.

What every round differs in is how the service meets callers whom no session knows, and whether the gateway
is there at all.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.trial.watch import NotInTime
from tools.verify_privacy import stories
from tools.verify_privacy.meetings import MODELS, Meeting, open_meeting
from tools.verify_privacy.people import BETA
from tools.verify_privacy.places import Places
from tools.verify_privacy.stories import USUAL, Tale
from tools.verify_privacy.story import Story, Unjoined
from tools.verify_privacy.world import FALLBACK, World

MEETINGS: Final = (12, 32)
"""Sessions of a round, at least and at most; a short run shall see every kind of round."""
PER_MEETING: Final = (6, 9)
"""What the people of one session do, one thing after another: in a short run, and in a long one."""
_HANGING: Final = 5
"""Sessions while the gateway hangs: each call waits for it for two seconds."""
LADDERS: Final = {
    "plain": {},
    "fallback": {"fallback": FALLBACK},
    "pin": {"ask_pin": True},
    "announcement": {"announcement": "This number is not in use."},
    "away": {},
    "hang": {},
}
ROUNDS: Final = ("plain", "fallback", "away", "pin", "announcement", "plain", "hang")
_WRONG: Final = frozenset({"text lost", "transferred", "typed in part"})
_AWAY_OUT: Final = frozenset({"stranger", "withheld", "proxy_calls", "typed"})
"""Who is nobody to the copy hears an apology of some seconds: seldom is enough."""


@dataclass(slots=True)
class Tally:
    """What was done: kinds of calls with how they came out, and what came out as it should not."""

    calls: int = 0
    texts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    odd: Counter[str] = field(default_factory=Counter)

    def told(self, name: str, outcome: str, of: str = "") -> None:
        self.outcomes[f"{name}: {outcome}"] += 1
        if outcome in _WRONG:
            self.odd[f"{name}, {of}: {outcome}"] += 1
        if name == "text":
            self.texts += 1
        else:
            self.calls += 1


@dataclass(slots=True)
class Run:
    """A whole run, and where it stands."""

    world: World
    places: Places
    seed: int
    at_once: int
    say: Callable[[str], None] = lambda line: None
    tally: Tally = field(default_factory=Tally)
    _each: int = PER_MEETING[1]

    async def until(self, calls: int) -> None:
        """Rounds until so many calls were made."""
        count, (least, most) = 0, MEETINGS
        meetings = min(most, max(least, calls // most))
        self._each = PER_MEETING[meetings == most]
        while self.tally.calls < calls:
            left = math.ceil((calls - self.tally.calls) / (self._each * 0.87))
            await self._timed(ROUNDS[count % len(ROUNDS)], count, min(meetings, left))
            count += 1

    async def _timed(self, kind: str, count: int, meetings: int) -> None:
        began, before = time.monotonic(), self.tally.calls
        await self._round(kind, count, meetings)
        took, made = time.monotonic() - began, self.tally.calls - before
        self.say(f"round {count + 1} ({kind}): {made} calls in {took:.1f} s, {self.tally.calls} in all")

    async def _round(self, kind: str, count: int, meetings: int) -> None:
        chance = random.Random(f"{self.seed}/{count}")
        world = self.world
        await world.owner.ok("PUT", "/api/v1/proxy/settings", {"unknown": LADDERS[kind], "geo": "any"})
        away = kind in ("away", "hang")
        meetings = min(meetings, _HANGING) if kind == "hang" else meetings
        models = [
            chance.choice(("pair", "group")) if away else chance.choice(MODELS) for _ in range(meetings)
        ]
        opened = await self._opened(models, chance)
        if away:
            await world.copied({(way.dialled, way.caller) for one in opened for way in one.ways})
            await (world.gateway_gone() if kind == "away" else world.gateway_hangs())
        gate = asyncio.Semaphore(self.at_once)
        dice = [random.Random(chance.getrandbits(64)) for _ in opened]
        meet = [self._meet(gate, kind, one, dice[n]) for n, one in enumerate(opened)]
        await asyncio.gather(*meet, *([] if away else [self._brief(chance)]))
        if away:
            await (world.gateway_back() if kind == "away" else world.gateway_goes_on())
        await self._ended(opened)
        await world.quiet()
        world.owner.take()
        await self.places.after_round()

    async def _opened(self, models: Sequence[str], chance: random.Random) -> list[Meeting]:
        """The sessions that could be opened."""
        dice = [random.Random(chance.getrandbits(64)) for _ in models]
        found = await asyncio.gather(
            *(open_meeting(self.world, model, dice[n]) for n, model in enumerate(models)),
            return_exceptions=True,
        )
        for one in found:
            if isinstance(one, AssertionError):
                self.tally.odd[f"opening: {str(one)[:100]}"] += 1
            elif isinstance(one, BaseException):
                raise one
        return [one for one in found if isinstance(one, Meeting)]

    async def _meet(
        self, gate: asyncio.Semaphore, kind: str, meeting: Meeting, chance: random.Random
    ) -> None:
        """All that the people of one session do, one thing after another."""
        async with gate:
            for name, tale in self._plan(kind, meeting, chance):
                if meeting.closed:
                    break
                way = chance.choice(meeting.ways)
                await self._tell(
                    name, tale, Story(self.world, meeting, way, chance, kind in ("away", "hang"))
                )

    def _plan(self, kind: str, meeting: Meeting, chance: random.Random) -> Sequence[tuple[str, Tale]]:
        left_out = _AWAY_OUT if kind in ("away", "hang") else ()
        usual = {name: found for name, found in USUAL.items() if name not in left_out}
        names = chance.choices(list(usual), [weight for _, weight in usual.values()], k=self._each)
        plan = [(name, USUAL[name][0]) for name in names]
        if kind == "pin":
            plan[0] = ("guesses", stories.guesses)
            if meeting.second_phone is not None:
                plan[1] = ("by_pin", stories.by_pin)
        strange = meeting.model in ("pair", "group")
        if kind == "fallback" and strange and any(way.side is BETA for way in meeting.ways):
            plan[0] = ("falls_back", stories.falls_back)
        if kind == "plain" and chance.random() < 0.2:
            plan[-1] = ("closed_in_mid_call", stories.closed_in_mid_call)
        if kind == "announcement" and chance.random() < 0.2:
            plan[-1] = ("nobody_answers", stories.nobody_answers)
        return plan

    async def _brief(self, chance: random.Random) -> None:
        """A session that ends under its call."""
        meeting = await open_meeting(self.world, "pair", chance, brief=True)
        story = Story(self.world, meeting, meeting.ways[0], chance)
        await self._tell("expired_in_mid_call", stories.expired_in_mid_call, story)
        meeting.closed = True

    async def _tell(self, name: str, tale: Tale, story: Story) -> None:
        if name == "falls_back":
            story = replace(story, way=next(way for way in story.meeting.ways if way.side is BETA))
        if name in ("closed_in_mid_call", "nobody_answers", "typed", "heard") and story.way.types:
            tale, name = USUAL["talked"][0], "talked"
        if name in ("stranger", "withheld", "guesses") and story.meeting.model == "anyone":
            tale, name = USUAL["talked"][0], "talked"  # nobody is a stranger there
        try:
            outcome = await tale(story)
        except (Unjoined, AssertionError, NotInTime, TimeoutError) as odd:
            outcome = f"odd ({type(odd).__name__})"
            where = "away" if story.away else "there"
            self.tally.odd[f"{name}, {story.meeting.model}, {where}: {str(odd)[:100]}"] += 1
        self.tally.told(name, outcome, f"{story.meeting.model}, {story.meeting.redaction}")

    async def _ended(self, opened: Sequence[Meeting]) -> None:
        """Sessions are closed, and dialled once more."""
        left = [meeting.id for meeting in opened if not meeting.closed]
        ask = self.world.reader.ask
        await asyncio.gather(*(ask("DELETE", f"/api/v1/proxy/sessions/{one}") for one in left))
        await asyncio.gather(*(self._once_more(meeting) for meeting in opened[:2]))

    async def _once_more(self, meeting: Meeting) -> None:
        way = meeting.ways[0]
        story = Story(self.world, meeting, way, random.Random(0))
        with suppress(AssertionError, TimeoutError):
            self.tally.told("closed", await stories.turned_away(story, way.caller))
