"""Whatever is dialled and typed, in whatever order sessions come and go: nobody is connected with a person
that a live session does not join them with, as told by a judge who knows only what was opened and closed."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialplan.core.call import Gather
from proxy_pool.core.session import Participant, PinMode, Session
from proxy_pool.desk import Seating
from telephony.errors import Conflict
from telephony.numbers import E164
from tests.rig.masking import TENANT, person, proxy
from tests.unit.gateway.masked_stage import Line, Stage, staged

pytestmark = pytest.mark.unit

PEOPLE, NUMBERS, STEPS = 5, 3, 60


def _is_known(session: Session, own: Participant, caller: str) -> bool:
    """Whether the own line is enough."""
    assert isinstance(own.party, E164)
    return session.terms.pin_mode is not PinMode.ALWAYS and own.party.reveal() == caller


class Judge:
    """Knows every session that was opened, and when each was over."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.over: dict[str, float] = {}

    def live(self, now: float) -> list[Session]:
        return [one for one in self.sessions if now < self.over.get(one.id, one.ends_at)]

    def allows(self, line: Line, typed: set[str], now: float) -> bool:
        """Whether some live session seats this caller, or the owner of a typed PIN, at the dialled number."""
        target, cli = line.reached, line.route.cli
        return any(
            own.proxy.reveal() == line.offered.dialled
            and other.seat != own.seat
            and (other.party, other.proxy) == (target, cli)
            and (own.pin in typed or _is_known(session, own, line.offered.caller))
            for session in self.live(now)
            for own in session.participants
            for other in session.participants
        )

    def pins(self) -> list[str]:
        return [one.pin for session in self.sessions for one in session.participants if one.pin]


async def one_history(dice: random.Random) -> int:
    """Random openings, closings, waits and calls; how many calls were connected."""
    connected, judge = 0, Judge()
    async with staged(numbers=NUMBERS) as stage:
        await stage.unknown(ask_pin=True, pin_attempts_per_caller=100, calls_per_caller=1000)
        for _ in range(STEPS):
            match dice.randrange(8):
                case 0 | 1:
                    await opened(stage, judge, dice)
                case 2:
                    live = judge.live(stage.hand.at)
                    if live:
                        closing = dice.choice(live)
                        await stage.masking.close(TENANT, closing.id)
                        judge.over[closing.id] = stage.hand.at
                case 3:
                    stage.hand.at += dice.choice((1, 300, 700))
                case _:
                    connected += await called(stage, judge, dice)
    return connected


async def opened(stage: Stage, judge: Judge, dice: random.Random) -> None:
    a, b = dice.sample(range(1, PEOPLE + 1), 2)
    mode = dice.choice(("off", "unknown", "always"))
    try:
        session = await stage.open(
            Seating(person(a)),
            Seating(person(b)),
            pin_mode=mode,
            expires_at=stage.hand.at + dice.choice((600, 5000)),
            quarantine_s=60,
        )
    except Conflict:
        return
    judge.sessions.append(session)


async def called(stage: Stage, judge: Judge, dice: random.Random) -> int:
    caller = dice.choice([*map(person, range(1, PEOPLE + 2)), ""])
    line, typed = await stage.call(caller, proxy(dice.randint(1, NUMBERS))), set[str]()
    while isinstance(line.route, Gather):
        if dice.random() < 0.2:
            stage.hand.at += 30
        digits = dice.choice([*judge.pins(), "", "123456"])
        typed.add(digits)
        await line.types(digits)
    if line.reached is None:
        return 0
    assert judge.allows(line, typed - {""}, stage.hand.at)
    return 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_nobody_is_connected_but_the_two_of_a_live_session(seed: int) -> None:
    asyncio.run(one_history(random.Random(seed)))


def test_the_histories_connect_people_at_all() -> None:
    assert sum(asyncio.run(one_history(random.Random(seed))) for seed in range(5)) > 10
