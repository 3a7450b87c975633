"""A leg between channel and room: every order of things up to some length, and the promises of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from video_rooms.core import carriage
from video_rooms.core.carriage import (
    Came,
    Carriage,
    Channel,
    ChannelGone,
    Crowd,
    Effect,
    EndChannel,
    Enter,
    Entered,
    Exit,
    Happening,
    LetUp,
    NotLetIn,
    Pressed,
    PutOut,
    SetMute,
    Show,
    Tell,
    TrackMuted,
    Where,
)
from video_rooms.core.leg import (
    Answer,
    Arrived,
    Describe,
    Digit,
    Gone,
    HangUp,
    Join,
    Joined,
    JoinFailed,
    Leave,
    Left,
    LegFact,
    LegOrder,
    Mute,
    Others,
    RoomMuted,
)

pytestmark = pytest.mark.unit

JOIN = Join("ws://rooms", "a-token", "phone-1")


def goes(state: Carriage, *inputs: LegOrder | Happening) -> tuple[Carriage, list[Effect]]:
    done: list[Effect] = []
    for one in inputs:
        state, effects = (
            carriage.hear(state, one) if isinstance(one, Happening) else carriage.obey(state, one)
        )
        done += effects
    return state, done


def told(effects: Iterable[Effect]) -> list[LegFact]:
    return [effect.fact for effect in effects if isinstance(effect, Tell)]


# ---------------------------------------------------------------- every order of things


def moves(stay: int) -> tuple[LegOrder | Happening, ...]:
    """What may come next: orders, the switch, and the media server on this stay and the one before."""
    rooms = [
        what
        for number in {stay, max(0, stay - 1)}
        for what in (
            Entered(number, 2, False),
            NotLetIn(number, "full"),
            PutOut(number, "removed"),
            TrackMuted(number, True),
            TrackMuted(number, False),
        )
    ]
    return (Came(), ChannelGone("hangup"), JOIN, Leave(), HangUp(), Mute(True), Mute(False), *rooms)


def explored(length: int) -> int:
    """Try every move in each state that so many moves lead to; how many states there were."""
    start = Carriage()
    seen = {repr(start)}
    edge = [(start, list[Effect]())]
    for _ in range(length):
        fresh: list[tuple[Carriage, list[Effect]]] = []
        for state, before in edge:
            for move in moves(state.stay):
                after, effects = goes(state, move)
                holds(state, move, after, effects)
                way = before + effects
                promises(way, after)
                if repr(after) not in seen:
                    seen.add(repr(after))
                    fresh.append((after, way))
        edge = fresh
    return len(seen)


def holds(state: Carriage, move: object, after: Carriage, effects: list[Effect]) -> None:
    """What must be true of every single step."""
    stays = [effect.stay for effect in effects if isinstance(effect, (SetMute, Show))]
    assert all(stay == after.stay and after.where is Where.INSIDE for stay in stays), (state, move)
    if state.channel is Channel.GONE:
        assert (after, effects) == (state, []), move
    if after.hears_room:
        assert after.channel is Channel.EXPECTED or after.channel is Channel.HERE
        assert after.where is Where.INSIDE
    if state.where is not Where.OUTSIDE and after.where is Where.OUTSIDE:
        assert Exit(state.stay) in effects or isinstance(move, NotLetIn), "no stay is forgotten"
    if isinstance(move, HangUp | ChannelGone):
        assert after.where is Where.OUTSIDE


def promises(way: list[Effect], state: Carriage) -> None:
    """What must be true of everything that was told and done from the begin on."""
    facts = told(way)
    gone = [place for place, fact in enumerate(facts) if isinstance(fact, Gone)]
    assert gone in ([], [len(facts) - 1]), "Gone is last, and once"
    entered = [effect.stay for effect in way if isinstance(effect, Enter)]
    assert entered == list(range(1, state.stay + 1))
    exits = [effect.stay for effect in way if isinstance(effect, Exit)]
    assert len(exits) == len(set(exits)), "no stay is ended twice"
    where = Where.OUTSIDE
    for effect in way:
        match effect:
            case Enter():
                assert where is Where.OUTSIDE, "the stay before was answered and told to be over"
                where = Where.ENTERING
            case Tell(Joined()):
                assert where is Where.ENTERING
                where = Where.INSIDE
            case Tell(JoinFailed()):
                assert where is Where.ENTERING
                where = Where.OUTSIDE
            case Tell(Left()):
                assert where is not Where.OUTSIDE
                where = Where.OUTSIDE
    assert where is state.where or state.channel in (Channel.ENDING, Channel.GONE)
    assert sum(isinstance(fact, Arrived) for fact in facts) <= 1


def test_no_order_of_things_breaks_a_promise() -> None:
    assert explored(7) > 100


# ---------------------------------------------------------------- the usual


def test_a_visit() -> None:
    state, done = goes(
        Carriage(), Answer(), Came(), JOIN, Entered(1, 3, True), Pressed("6"), Leave(), HangUp()
    )
    assert told(done) == [Arrived(), Joined(3), Others(3, True), Digit("6"), Left("asked")]
    assert LetUp() in done
    assert done[-1] == EndChannel()
    state, done = goes(state, ChannelGone("hangup"))
    assert told(done) == [Gone("hangup")]


def test_answered_once_however_often_it_is_asked_for() -> None:
    inputs: tuple[LegOrder | Happening, ...] = (Answer(), Answer(), Came())
    for order in itertools.permutations(inputs):
        _, done = goes(Carriage(), *order)
        assert done.count(LetUp()) == 1, order


def test_who_is_put_out_is_told_why() -> None:
    state, _ = goes(Carriage(), Came(), JOIN, Entered(1, 0, False))
    for why in ("removed", "room_ended", "replaced", "lost"):
        after, done = goes(state, PutOut(1, why))
        assert done == [Exit(1), Tell(Left(why))]
        assert after.where is Where.OUTSIDE


def test_another_join_takes_the_place_of_one_that_runs() -> None:
    state, done = goes(Carriage(), Came(), JOIN, JOIN, NotLetIn(1, "timeout"), Entered(1, 0, False))
    assert told(done) == [Arrived(), Left("asked")]
    assert [effect for effect in done if isinstance(effect, Exit)] == [Exit(1)]
    _, done = goes(state, Entered(2, 1, False))
    assert told(done) == [Joined(1), Others(1, False)]


def test_a_leave_without_a_room_says_nothing() -> None:
    _, done = goes(Carriage(), Came(), Leave())
    assert told(done) == [Arrived()]


def test_a_channel_that_goes_leaves_the_room_before_anything_is_told() -> None:
    _, done = goes(Carriage(), Came(), JOIN, Entered(1, 0, False), ChannelGone("stalled"))
    assert done[-2:] == [Exit(1), Tell(Gone("stalled"))]


def test_hung_up_before_it_came_it_never_comes() -> None:
    state, done = goes(Carriage(), HangUp(), Came(), ChannelGone("never_came"))
    assert done == [EndChannel(), Tell(Gone("hangup"))]
    assert state.channel is Channel.GONE


# ---------------------------------------------------------------- muting


INSIDE, _ = goes(Carriage(), Came(), JOIN, Entered(1, 0, False))


def test_what_was_wished_before_the_room_holds_in_it() -> None:
    _, done = goes(Carriage(), Came(), Mute(True), Describe({"hand": "1"}), JOIN, Entered(1, 0, False))
    entering = next(effect for effect in done if isinstance(effect, Enter))
    assert entering.muted, "it is never heard, not even for a moment"
    assert SetMute(1, True) in done
    assert Show(1, {"hand": "1"}) in done


def test_a_hosts_mute_is_told_once_and_can_be_taken_back_by_the_telephone() -> None:
    state, done = goes(INSIDE, TrackMuted(1, True), TrackMuted(1, True))
    assert told(done) == [RoomMuted(True)]
    assert not state.hears_room
    state, done = goes(state, Mute(False), TrackMuted(1, False))
    assert done == [SetMute(1, False), Tell(RoomMuted(False))]
    assert state.hears_room


def test_ones_own_mute_is_no_hosts() -> None:
    state, done = goes(INSIDE, Mute(True), TrackMuted(1, True))
    assert told(done) == []
    assert not state.hears_room


def test_a_host_cannot_open_the_mouth_of_who_muted_himself() -> None:
    state, done = goes(INSIDE, Mute(True), TrackMuted(1, True), TrackMuted(1, False))
    assert done == [SetMute(1, True), SetMute(1, True)]
    assert not state.hears_room


def test_a_host_takes_the_mute_back() -> None:
    state, done = goes(INSIDE, TrackMuted(1, True), TrackMuted(1, False))
    assert told(done) == [RoomMuted(True), RoomMuted(False)]
    assert state.hears_room


def test_only_a_change_of_the_crowd_is_told() -> None:
    _, done = goes(INSIDE, Crowd(1, 0, False), Crowd(1, 1, False), Crowd(1, 1, True), Crowd(1, 1, True))
    assert told(done) == [Others(1, False), Others(1, True)]
