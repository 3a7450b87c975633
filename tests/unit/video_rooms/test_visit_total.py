"""A telephone's visit explored: every reachable state, every fact, and what must never be."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest

from video_rooms.core import visit as machine
from video_rooms.core.leg import (
    Answer,
    Arrived,
    Describe,
    Digit,
    Gone,
    HangUp,
    HoldMusic,
    Joined,
    JoinFailed,
    Leave,
    Left,
    Mute,
    Others,
    RoomMuted,
    SoundsDone,
)
from video_rooms.core.room import Presence
from video_rooms.core.visit import brought, called_out, deadline, dialled_in, step
from video_rooms.core.visit_words import (
    Admitted,
    AskPin,
    CallOver,
    CallRang,
    CameIn,
    Denied,
    EndCall,
    Enter,
    Expelled,
    HostCame,
    Judged,
    Opening,
    RoomOver,
    Say,
    ShowPerson,
    Stage,
    TellFailed,
    Tick,
    Visit,
    VisitFact,
    VisitOrder,
    Way,
    Why,
)
from video_rooms.core.words_spoken import COUNTED, ENGLISH, LANGUAGES, Line, Words, text_of

pytestmark = pytest.mark.unit

NOW = 1000.0
FACTS: tuple[VisitFact, ...] = (
    Arrived(),
    Digit("1"),
    Digit("6"),
    Digit("2"),
    Digit("*"),
    Digit("#"),
    Digit("A"),
    Joined(0),
    Joined(3),
    JoinFailed("full"),
    JoinFailed("timeout"),
    Left("removed"),
    Left("room_ended"),
    Left("lost"),
    Left("asked"),
    RoomMuted(True),
    RoomMuted(False),
    Others(3, False),
    Others(3, True),
    Gone("hangup"),
    Gone("stalled"),
    Gone("never_came"),
    Judged(Opening("a-room")),
    Judged(Opening("a-room", "lobby")),
    Judged(Opening("a-room", "host")),
    Judged(None, Why.PIN),
    Judged(None, Why.UNAVAILABLE),
    Admitted(),
    Denied(),
    HostCame(),
    Expelled(),
    RoomOver(),
    CallRang(),
    CallOver("busy"),
    Tick(),
)
STARTS = {
    "in": dialled_in(NOW, 3600.0, 30.0),
    "out": called_out(NOW, 3600.0, 70.0, "a-room", consent=True),
    "out-sure": called_out(NOW, 3600.0, 70.0, "a-room", consent=False),
    "agent": brought(NOW, 3600.0, 70.0, "a-room"),
}
FINAL = {Stage.LEAVING, Stage.ENDING, Stage.OVER}


def shape(visit: Visit) -> Visit:
    """The state without what only counts or tells time, so that equal situations are one. Of a visit that
    ends, what it was in the room can no longer matter."""
    if visit.stage in FINAL:
        says = "s" if visit.says else ""
        bare = Visit(visit.way, 0.0, 0.0, stage=visit.stage, why=visit.why, says=says, quiet=visit.quiet)
        return replace(bare, listed=visit.listed, was_inside=visit.was_inside)
    return replace(
        visit,
        until=0.0,
        ends_at=None if visit.ends_at is None else 0.0,
        typed="1" * len(visit.typed),
        typed_at=0.0,
        says="s" if visit.says else "",
        spoken=min(visit.spoken, 2),
        star_at=None if visit.star_at is None else 0.0,
        others=min(visit.others, 1),
    )


def happened(visit: Visit) -> tuple[VisitFact, ...]:
    """Everything that can happen, and the end of what is being said, heard or cut off."""
    return (*FACTS, SoundsDone(visit.says or "s0"), SoundsDone(visit.says or "s0", cut=True))


def after(visit: Visit, fact: VisitFact) -> tuple[Visit, tuple[VisitOrder, ...]]:
    due = deadline(visit)
    return step(visit, fact, due if isinstance(fact, Tick) and due is not None else NOW + 1)


def check_step(before: Visit, fact: VisitFact, now: Visit, out: tuple[VisitOrder, ...]) -> None:
    order = list(Stage)
    assert (deadline(now) is None) == (now.stage is Stage.OVER), "every stage that waits has a deadline"
    if before.stage in FINAL:
        assert order.index(now.stage) >= order.index(before.stage), "nobody comes back from an end"
    check_roster(before, now, out)
    check_sounds(before, now, out)
    kinds = [type(one) for one in out]
    assert kinds.count(Enter) == int(now.stage is Stage.ENTERING and before.stage is not Stage.ENTERING)
    assert kinds.count(CameIn) == int(now.was_inside and not before.was_inside)
    came = before.stage is Stage.COMING and isinstance(fact, Arrived)
    entered = now.stage is Stage.INSIDE and before.stage is not Stage.INSIDE
    assert kinds.count(Answer) == int(entered if before.quiet else came)
    assert kinds.count(AskPin) == int(now.stage is Stage.JUDGING and before.stage is not Stage.JUDGING)
    if isinstance(fact, Gone | CallOver) and before.stage is not Stage.OVER:
        assert now.stage is Stage.OVER, "who has hung up is gone, and off the roster"
        assert any(isinstance(one, ShowPerson) for one in out) == before.listed
    if HangUp in kinds:
        assert now.stage in (Stage.ENDING, Stage.OVER)
    if now.stage is Stage.ENDING and before.stage is not Stage.ENDING:
        assert {EndCall, HangUp} <= set(kinds)
    if now.stage in FINAL:
        assert now.why, "every ending has a name"
    if Mute in kinds or Describe in kinds:
        assert before.stage is Stage.INSIDE
    assert now.tries <= machine.TRIES


def check_roster(before: Visit, now: Visit, out: tuple[VisitOrder, ...]) -> None:
    """On the roster from the moment that a room is concerned, off it at once, and once."""
    shown = [one for one in out if isinstance(one, ShowPerson)]
    assert len(shown) <= 1
    if before.listed and not now.listed:
        assert shown
        assert shown[0].presence is Presence.LEFT
        assert shown[0].why == now.why
    else:
        assert all(one.presence is not Presence.LEFT for one in shown)
    if now.listed and not before.listed:
        assert shown
    assert now.listed == (now.stage in (Stage.WAITING, Stage.INSIDE)) or now.stage not in (
        Stage.WAITING,
        Stage.INSIDE,
        *FINAL,
    )
    assert sum(one.presence is Presence.WAITING for one in shown) == int(
        now.stage is Stage.WAITING and before.stage is not Stage.WAITING
    )
    failed = [one for one in out if isinstance(one, TellFailed)]
    in_vain = before.way is Way.OUT and before.listed and not now.listed and not now.was_inside
    assert len(failed) == int(in_vain)


def check_sounds(before: Visit, now: Visit, out: tuple[VisitOrder, ...]) -> None:
    said = [one for one in out if isinstance(one, Say)]
    assert len(said) <= 1
    if before.quiet:
        assert not said
        return
    for one in said:
        assert one.lines
        assert one.id == now.says
    if before.stage is Stage.WAITING and now.stage not in (Stage.WAITING, Stage.ENTERING, Stage.OVER):
        assert HoldMusic(False) in out
    if now.stage is Stage.LEAVING and before.stage is Stage.INSIDE:
        assert HoldMusic(False) in out
    if before.recording is False and now.recording and not before.says:
        assert said, "the notice is heard"


def ends_by_time_alone(visit: Visit) -> None:
    for _ in range(20):
        if visit.stage is Stage.OVER:
            return
        now, out = after(visit, Tick())
        check_step(visit, Tick(), now, out)
        visit = now
    raise AssertionError(f"still there with everybody silent: {visit}")


@pytest.mark.parametrize("name", STARTS)
def test_every_state_answers_every_fact_and_ends(name: str) -> None:
    start = STARTS[name]
    seen, todo = {shape(start)}, deque([start])
    reasons: set[str] = set()
    stages: set[Stage] = set()
    while todo:
        visit = todo.popleft()
        stages.add(visit.stage)
        if len(visit.typed) in (0, 6) and not visit.hand:
            ends_by_time_alone(visit)
        for fact in happened(visit):
            now, out = after(visit, fact)
            check_step(visit, fact, now, out)
            if now.stage is Stage.OVER:
                reasons.add(now.why)
            if shape(now) not in seen:
                seen.add(shape(now))
                todo.append(now)
    both = {Why.HANGUP, Why.REMOVED, Why.ENDED, Why.UNAVAILABLE, Why.LOST, Why.LEG_LOST, Why.LONGEST, "busy"}
    own = {
        "in": {Why.PIN, Why.FULL, Why.DENIED, Why.NOT_ADMITTED},
        "out": {Why.NOT_JOINED, Why.FULL},
        "out-sure": {Why.FULL},
        "agent": {Why.FULL},
    }
    assert reasons == both | own[name]
    asks = {Stage.ASKING, Stage.JUDGING, Stage.REFUSING, Stage.WAITING}
    not_there = {"in": {Stage.CONSENT}, "out": asks, "out-sure": asks | {Stage.CONSENT}}
    not_there["agent"] = not_there["out-sure"] | {Stage.LEAVING}
    assert stages == set(Stage) - not_there[name]


def test_what_is_said_is_in_the_table() -> None:
    for language, words in LANGUAGES.items():
        assert set(words) == set(Words) - {Words.TONE}, language
        assert {key for key, text in words.items() if "{n}" in text} == COUNTED
    assert text_of(Line(Words.COUNT, 3), "en") == "There are 3 of you in the meeting."
    assert text_of(Line(Words.MUTED), "xx") == ENGLISH[Words.MUTED]
    assert text_of(Line(Words.TONE), "en") == ""


def test_a_room_that_is_left_by_us_is_left_at_once() -> None:
    visit, _ = step(STARTS["out-sure"], Arrived(), NOW)
    visit, _ = step(visit, Joined(1), NOW)
    assert visit.ends_at == NOW + 3600
    for fact, at in ((RoomOver(), NOW + 1), (Tick(), NOW + 3600)):
        _, out = step(visit, fact, at)
        assert Leave() in out
    _, out = step(visit, Left("removed"), NOW + 1)
    assert Leave() not in out
