"""The look at the switch: what each open call is told in each situation, and whose channels are nobody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from dialplan import reconcile
from dialplan.core import facts
from dialplan.core.call import Call, Ender, Gather, Role
from dialplan.fakes import FakeEndings, FakeSwitch, ManualClock
from dialplan.life import Life
from dialplan.ports import Ending, LiveChannel
from telephony.ids import ChannelId
from tests.unit.dialplan.made_calls import (
    CALLEE,
    CALLER,
    HOLD,
    NOW,
    TO_FAR,
    A,
    B,
    inbound,
    outbound,
    run,
    talking,
)

pytestmark = pytest.mark.unit

C = ChannelId("c-1")
Told = tuple[facts.Fact, float | None]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes until a record that is late is there, or never."""
    monkeypatch.setattr(reconcile, "RECORD_S", 0.0)


@dataclass
class Inbox:
    """A call's place: takes facts and folds none of them."""

    call: Call
    told: list[Told] = field(default_factory=list)

    def post(self, fact: facts.Fact, *, at: float | None = None) -> None:
        self.told.append((fact, at))


@dataclass
class World:
    """The switch as it is found. ``bound``: channels that the look gave to a call."""

    switch: FakeSwitch = field(default_factory=FakeSwitch)
    endings: FakeEndings = field(default_factory=FakeEndings)
    clock: ManualClock = field(default_factory=ManualClock)
    bound: list[ChannelId] = field(default_factory=list)

    def now(self) -> float:
        return self.clock.now()

    async def look(self, *calls: Call, restarted: bool = False) -> tuple[list[list[Told]], list[ChannelId]]:
        """What each call was told, and the channels that nobody knows."""
        inboxes = [Inbox(call) for call in calls]
        lives = cast("Sequence[Life]", inboxes)
        unknown = await reconcile.look(
            self, lives, lambda channel, life: self.bound.append(channel), restarted=restarted
        )
        return [inbox.told for inbox in inboxes], unknown


def world(*rows: tuple[ChannelId, bool, ChannelId | None], endings: Sequence[Ending] = ()) -> World:
    """Rows: channel, up or not, the channel that dialled it."""
    made = World(endings=FakeEndings(*endings))
    made.clock.advance(100)
    for channel, up, by in rows:
        made.switch.exist(channel, up=up, by=by)
    return made


DIALLED = run(outbound(), facts.Dialed(CALLER))[0]
WAITING = run(inbound(), facts.Dialed(CALLEE, B))[0]
TALKING = talking()
ENDING = run(talking(), facts.EndRequested(CALLEE), facts.HungUp(CALLEE, 16))[0]
CLOSED = run(talking(), facts.HungUp(CALLER, 16), facts.HungUp(CALLEE, 16))[0]
GONE = "gateway_was_away"


def seen(role: Role, up: bool) -> Told:
    return facts.SeenLive(role, up), None


def lost(role: Role, why: str = GONE) -> Told:
    return facts.Vanished(role, why), None


@pytest.mark.parametrize(
    ("call", "rows", "told"),
    [
        pytest.param(outbound(), [], [], id="placed, not there yet"),
        pytest.param(outbound(), [(A, False, None)], [seen(CALLER, False)], id="placed, and there"),
        pytest.param(DIALLED, [(A, False, None)], [seen(CALLER, False)], id="still ringing"),
        pytest.param(DIALLED, [(A, True, None)], [seen(CALLER, True)], id="answered meanwhile"),
        pytest.param(DIALLED, [], [lost(CALLER)], id="dialled, and gone"),
        pytest.param(
            TALKING,
            [(A, True, None), (B, True, A)],
            [seen(CALLER, True), seen(CALLEE, True)],
            id="still talking",
        ),
        pytest.param(TALKING, [], [lost(CALLER), lost(CALLEE)], id="talked, and gone"),
        pytest.param(TALKING, [(A, True, None)], [seen(CALLER, True), lost(CALLEE)], id="one is gone"),
        pytest.param(ENDING, [(A, True, None)], [seen(CALLER, True)], id="an ended leg is not looked for"),
        pytest.param(CLOSED, [(A, True, None)], [], id="a closed call is left alone"),
        pytest.param(inbound(), [(A, False, None)], [seen(CALLER, False)], id="no callee yet"),
        pytest.param(
            inbound(),
            [(A, False, None), (B, True, A)],
            [seen(CALLER, False), (facts.Dialed(CALLEE, B), None), seen(CALLEE, True)],
            id="a callee nobody heard of",
        ),
        pytest.param(
            inbound(HOLD), [(A, True, None), (B, True, A)], [seen(CALLER, True)], id="music has no channel"
        ),
    ],
)
async def test_what_the_rows_tell(
    call: Call, rows: list[tuple[ChannelId, bool, ChannelId | None]], told: list[Told]
) -> None:
    assert (await world(*rows).look(call))[0] == [told]


@pytest.mark.parametrize(
    ("call", "ending", "told"),
    [
        pytest.param(
            DIALLED,
            Ending(A, None, NOW + 9, 17),
            [(facts.HungUp(CALLER, 17), NOW + 9)],
            id="busy",
        ),
        pytest.param(
            outbound(),
            Ending(A, None, NOW + 9, 17),
            [(facts.HungUp(CALLER, 17), NOW + 9)],
            id="busy, and its ring was never heard",
        ),
        pytest.param(
            DIALLED,
            Ending(A, NOW + 5, NOW + 9, 16),
            [(facts.Answered(CALLER), NOW + 5), (facts.HungUp(CALLER, 16), NOW + 9)],
            id="answered and over",
        ),
        pytest.param(
            WAITING,
            Ending(A, NOW + 5, NOW + 9, 16),
            [
                (facts.Answered(CALLER), NOW + 5),
                (facts.HungUp(CALLER, 16), NOW + 9),
                (facts.Answered(CALLEE), NOW + 5),
                (facts.HungUp(CALLEE, 16), NOW + 9),
            ],
            id="the caller's record tells of both",
        ),
        pytest.param(
            inbound(),
            Ending(A, NOW + 5, NOW + 9, 16),
            [
                (facts.Vanished(CALLEE, GONE, 16, answered=True), NOW + 5),
                (facts.Answered(CALLER), NOW + 5),
                (facts.HungUp(CALLER, 16), NOW + 9),
            ],
            id="an inbound caller is answered when its callee is",
        ),
        pytest.param(
            inbound(HOLD),
            Ending(A, NOW + 5, NOW + 9, 16),
            [(facts.Answered(CALLER), NOW + 5), (facts.HungUp(CALLER, 16), NOW + 9)],
            id="music has no channel",
        ),
        pytest.param(
            WAITING,
            Ending(A, NOW + 5, NOW + 9, 17, joined=False),
            [
                (facts.Answered(CALLER), NOW + 5),
                (facts.HungUp(CALLER, 17), NOW + 9),
                (facts.HungUp(CALLEE, 17), NOW + 9),
            ],
            id="an answered caller whose callee was busy",
        ),
        pytest.param(
            inbound(),
            Ending(A, None, NOW + 9, 16, joined=False, left=True),
            [(facts.EndRequested(CALLER), NOW + 9), (facts.HungUp(CALLER, 16), NOW + 9)],
            id="a caller who left",
        ),
        pytest.param(
            DIALLED,
            Ending(A, None, None, None),
            [(facts.HungUp(CALLER, None), None)],
            id="a record that knows little",
        ),
    ],
)
async def test_what_the_switchs_records_tell(call: Call, ending: Ending, told: list[Told]) -> None:
    assert (await world(endings=[ending]).look(call))[0] == [told]


async def test_a_record_of_a_channel_that_lives_is_not_asked_for() -> None:
    stale = Ending(A, None, NOW + 1, 17)
    assert (await world((A, False, None), endings=[stale]).look(DIALLED))[0] == [[seen(CALLER, False)]]


async def test_a_restarted_switch_is_named_as_the_reason() -> None:
    told, _ = await world().look(TALKING, DIALLED, outbound(), restarted=True)
    why = "switch_restarted"
    assert told == [[lost(CALLER, why), lost(CALLEE, why)], [lost(CALLER, why)], []]


@pytest.mark.parametrize("when", ["listing", "reading"])
async def test_what_began_after_the_look_is_not_judged_by_its_absence(when: str) -> None:
    made, call = world(), inbound()
    inbox = Inbox(call)

    def dialled() -> None:
        inbox.call = run(inbox.call, facts.Dialed(CALLEE, B))[0]

    class Switch(FakeSwitch):
        async def live_channels(self) -> Sequence[LiveChannel]:
            if when == "listing":
                dialled()
            return await super().live_channels()

    class Records(FakeEndings):
        async def of(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Ending]:
            assert channels == [A]
            if when == "reading":
                dialled()
            return {}

    made.switch, made.endings = Switch(), Records()
    await reconcile.look(made, [cast("Life", inbox)], lambda channel, life: None, restarted=False)
    assert inbox.call.callee.channel == B
    assert [fact for fact, _ in inbox.told] == [facts.Vanished(CALLER, "gateway_was_away", channel=A)]


class LateRecords(FakeEndings):
    """The switch writes its record while it is looked for."""

    def __init__(self, ending: Ending) -> None:
        super().__init__()
        self.late = ending
        self.asked = 0

    async def of(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Ending]:
        found = await super().of(channels)
        self.asked += 1
        self.add(self.late)
        return found


async def test_a_record_that_is_just_being_written_is_waited_for() -> None:
    records = LateRecords(Ending(A, None, NOW + 9, 17))
    (told,), _ = await World(endings=records).look(DIALLED)
    assert told == [(facts.HungUp(CALLER, 17), NOW + 9)]
    assert records.asked == 2


@pytest.mark.parametrize(
    ("call", "restarted", "asked"),
    [(DIALLED, True, 1), (outbound(), False, 1), (CLOSED, False, 0)],
    ids=["the switch is another one", "nobody heard of its leg", "it is over"],
)
async def test_a_record_that_cannot_come_is_not_waited_for(call: Call, restarted: bool, asked: int) -> None:
    records = LateRecords(Ending(ChannelId("other"), None, NOW + 9, 17))
    await World(endings=records).look(call, restarted=restarted)
    assert records.asked == asked


async def test_each_call_is_told_of_its_own() -> None:
    other = replace(DIALLED, caller=replace(DIALLED.caller, channel=C))
    told, unknown = await world((C, True, None)).look(DIALLED, other)
    assert told == [[lost(CALLER)], [seen(CALLER, True)]]
    assert unknown == []


async def test_channels_of_no_call_are_named() -> None:
    made = world((A, True, None), (B, True, A), (C, False, None))
    _, unknown = await made.look(TALKING)
    assert unknown == [C]
    assert (await made.look(CLOSED))[1] == [A, B, C]


async def test_an_adopted_callee_is_no_orphan() -> None:
    made = world((A, False, None), (B, False, A))
    _, unknown = await made.look(inbound())
    assert (made.bound, unknown) == ([B], [])


# ---------------------------------------------------------------- between looks


@pytest.mark.parametrize(("waited_s", "again"), [(0.0, False), (100.0, True)])
async def test_a_hang_up_that_did_not_happen_is_ordered_again(waited_s: float, again: bool) -> None:
    made = world((A, True, None), (B, True, A))
    asked = facts.HangupAsked(Ender.API, "hangup")
    call, _ = run(TALKING, asked, at=made.now() - waited_s, every=0)
    inbox = Inbox(call)
    places = {A: (cast("Life", inbox), CALLER), B: (cast("Life", inbox), CALLEE)}
    assert await reconcile.patrol(made, places.get, lambda channel: True) == []
    assert inbox.told == ([seen(CALLER, True), seen(CALLEE, True)] if again else [])


async def test_the_patrol_judges_nothing_by_absence() -> None:
    inbox = Inbox(TALKING)
    places = {A: (cast("Life", inbox), CALLER), B: (cast("Life", inbox), CALLEE)}
    assert await reconcile.patrol(world(), places.get, lambda channel: True) == []
    assert inbox.told == []


async def test_the_patrol_names_channels_of_ours_without_a_live_leg() -> None:
    made = world((A, True, None), (B, True, A), (C, False, None))
    inbox = Inbox(ENDING)
    places = {A: (cast("Life", inbox), CALLER), B: (cast("Life", inbox), CALLEE)}
    assert await reconcile.patrol(made, places.get, lambda channel: channel != C) == [B]
    assert await reconcile.patrol(made, places.get, lambda channel: True) == [B, C]


ON_DETOUR = run(inbound(Gather("prompts/pin", 6)), facts.Answered(CALLER))[0]
JOINED_AFTER = run(ON_DETOUR, facts.Routed(TO_FAR, ON_DETOUR.terms))[0]


@pytest.mark.parametrize("call", [ON_DETOUR, JOINED_AFTER])
async def test_a_caller_who_was_answered_to_type_digits_is_no_proof_of_a_callee(call: Call) -> None:
    world = World(endings=FakeEndings(Ending(A, NOW + 1, NOW + 9, 16, dialled=False)))
    (told,), _ = await world.look(call)
    assert told == [(facts.Answered(CALLER), NOW + 1), (facts.HungUp(CALLER, 16), NOW + 9)]


async def test_a_far_end_that_was_dialled_after_the_digits_was_answered() -> None:
    world = World(endings=FakeEndings(Ending(A, NOW + 1, NOW + 9, 16)))
    (told,), _ = await world.look(JOINED_AFTER)
    assert told[0] == (facts.Vanished(CALLEE, "gateway_was_away", 16, answered=True), NOW + 1)


async def test_a_far_end_that_was_busy_after_the_digits_was_not() -> None:
    world = World(endings=FakeEndings(Ending(A, NOW + 1, NOW + 9, 17, joined=False)))
    (told,), _ = await world.look(JOINED_AFTER)
    assert told == [(facts.Answered(CALLER), NOW + 1), (facts.HungUp(CALLER, 17), NOW + 9)]


async def test_a_far_end_did_not_answer_before_it_was_dialled() -> None:
    ringing = run(JOINED_AFTER, facts.Dialed(CALLEE, B), at=NOW + 4)[0]
    world = World(endings=FakeEndings(Ending(A, NOW + 1, NOW + 9, 16)))
    (told,), _ = await world.look(ringing)
    assert (facts.Answered(CALLEE), NOW + 5) in told
