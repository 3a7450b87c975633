"""Telephones of one process in one room: who fetches what others publish, and who hears whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from video_rooms.bridge.hall import Hall, Halls, own_voice

pytestmark = pytest.mark.unit


@dataclass(eq=False)
class Stay:
    """Fits ``RoomStay``. ``fetched``: what the media server sends; ``pushes``: what is heard of that."""

    identity: str
    tracks: dict[str, str]
    room: str = "ws://rooms one"
    may_hear: bool = True
    connected: bool = True
    others: int = 0
    recording: bool = False
    fetched: set[str] = field(default_factory=set)
    pushes: dict[str, Callable[[bytes], None]] = field(default_factory=dict)

    @property
    def published(self) -> Mapping[str, str]:
        return {track: who for track, who in self.tracks.items() if who != self.identity}

    def fetch(self, track: str) -> None:
        assert track in self.published
        self.fetched.add(track)

    def hear(self, track: str, push: Callable[[bytes], None] | None) -> None:
        assert track in self.fetched
        if push is None:
            del self.pushes[track]
        else:
            self.pushes[track] = push

    def drop(self, track: str) -> None:
        self.fetched.discard(track)
        self.pushes.pop(track, None)

    def say(self, frame: bytes) -> None: ...

    def mute(self, on: bool) -> None: ...

    def show(self, attributes: Mapping[str, str]) -> None: ...

    async def leave(self) -> None: ...


@pytest.fixture
def tracks() -> dict[str, str]:
    """What everybody in the room publishes."""
    return {"TR_ada": "ada", "TR_1": "phone-1", "TR_2": "phone-2", "TR_3": "phone-3"}


def feeds_of(hall: Hall, stays: list[Stay]) -> dict[str, int]:
    """By how many each voice from outside is pushed; checked to reach what is listened to."""
    found: dict[str, int] = {}
    for stay in stays:
        for track, push in stay.pushes.items():
            before = hall.voices[track].count
            push(bytes(320))
            assert hall.voices[track].count == before + 1
            found[track] = found.get(track, 0) + 1
    return found


def test_two_fetch_what_is_outside_and_one_of_them_is_heard(tracks: dict[str, str]) -> None:
    hall, stays = Hall(), [Stay(f"phone-{number}", tracks) for number in (1, 2, 3)]
    for stay in stays:
        hall.enter(stay)
    assert [stay.fetched for stay in stays] == [{"TR_ada"}, {"TR_ada"}, set()]
    assert feeds_of(hall, stays) == {"TR_ada": 1}
    assert hall.voices.keys() == {"TR_ada", *(own_voice(stay) for stay in stays)}


def test_a_telephone_alone_fetches_all_but_its_own(tracks: dict[str, str]) -> None:
    hall, one = Hall(), Stay("phone-1", tracks)
    feed = hall.enter(one)
    assert one.fetched == {"TR_ada", "TR_2", "TR_3"}
    assert hall.voices[own_voice(one)] is feed


def test_who_comes_into_this_process_is_not_fetched_any_more(tracks: dict[str, str]) -> None:
    hall, one, two = Hall(), Stay("phone-1", tracks), Stay("phone-2", tracks)
    hall.enter(one)
    hall.enter(two)
    assert one.fetched == two.fetched == {"TR_ada", "TR_3"}
    assert "TR_2" not in hall.voices
    hall.leave(two)
    assert one.fetched == {"TR_ada", "TR_2", "TR_3"}
    assert own_voice(two) not in hall.voices


def test_when_the_one_who_is_heard_goes_the_other_is_and_the_voice_is_the_same(
    tracks: dict[str, str],
) -> None:
    hall, stays = Hall(), [Stay(f"phone-{number}", tracks) for number in (1, 2, 3)]
    for stay in stays:
        hall.enter(stay)
    voice = hall.voices["TR_ada"]
    hall.leave(stays[0])
    assert hall.voices["TR_ada"] is voice
    assert stays[0].fetched == set()
    assert "TR_ada" in stays[1].pushes
    assert "TR_ada" in stays[2].fetched, "there is a second one again"
    assert feeds_of(hall, stays) == {"TR_ada": 1, "TR_1": 1}


def test_one_whose_connection_is_broken_gives_way_and_takes_its_turn_again(tracks: dict[str, str]) -> None:
    hall, stays = Hall(), [Stay(f"phone-{number}", tracks) for number in (1, 2)]
    for stay in stays:
        hall.enter(stay)
    stays[0].connected = False
    hall.look()
    assert (list(stays[0].pushes), list(stays[1].pushes)) == ([], ["TR_ada", "TR_3"])
    stays[1].connected = False
    hall.look()
    assert sum("TR_ada" in stay.pushes for stay in stays) == 1, "nobody else is there: it may come back"
    stays[0].connected = stays[1].connected = True
    hall.look()
    assert feeds_of(hall, stays) == {"TR_ada": 1, "TR_3": 1}


def test_one_that_may_not_hear_does_not_fetch(tracks: dict[str, str]) -> None:
    hall, deaf, other = Hall(), Stay("phone-1", tracks, may_hear=False), Stay("phone-2", tracks)
    hall.enter(deaf)
    assert deaf.fetched == set()
    assert set(hall.voices) == {own_voice(deaf)}
    hall.enter(other)
    assert deaf.fetched == set()
    assert other.fetched == {"TR_ada", "TR_3"}


def test_what_is_no_longer_published_is_dropped_and_what_is_new_is_fetched(tracks: dict[str, str]) -> None:
    hall, one = Hall(), Stay("phone-1", tracks)
    hall.enter(one)
    del tracks["TR_ada"]
    tracks["TR_bob"] = "bob"
    hall.look()
    assert one.fetched == {"TR_bob", "TR_2", "TR_3"}
    assert "TR_ada" not in hall.voices


def test_of_two_with_one_identity_the_newer_is_heard(tracks: dict[str, str]) -> None:
    hall, old, new = Hall(), Stay("phone-1", tracks), Stay("phone-1", tracks)
    hall.enter(old)
    feed = hall.enter(new)
    hall.leave(old)
    assert hall.voices[own_voice(new)] is feed
    hall.leave(new)
    hall.leave(new)
    assert hall.empty
    assert hall.voices == {}


def test_each_room_is_one_hall_as_long_as_somebody_is_in_it() -> None:
    halls = Halls()
    one, two = Stay("a", {}), Stay("b", {}, room="ws://rooms two")
    assert halls.of(one) is not halls.of(two)
    assert halls.of(one) is halls.of(Stay("c", {}))
    halls.of(one).enter(one)
    halls.leave(one)
    halls.of(two).enter(two)
    assert len(halls) == 1
    halls.leave(two)
    assert len(halls) == 0
