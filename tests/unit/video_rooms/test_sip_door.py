"""A telephone's way into a room by LiveKit's SIP service, and what becomes of it there. All else fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.clocks import SystemClock
from video_rooms.core.leg import Join
from video_rooms.core.live import PASS, ROLE, Grant, LivePerson
from video_rooms.core.room import Role
from video_rooms.core.roster import is_seen
from video_rooms.core.trunk_pass import read_pass
from video_rooms.core.trunks import Inbound, OneCall, TrunkPlan
from video_rooms.fakes import FakeRoomServer, TurnedAway
from video_rooms.fakes_around import CountedChances
from video_rooms.fakes_trunk import FakeTrunkCalls, FakeTrunkDesk
from video_rooms.livekit.tokens import press
from video_rooms.ports_media import NotAdmitted, RoomStay, StayEar, SwitchEar
from video_rooms.siptrunk import eyes
from video_rooms.siptrunk.anchors import Anchors
from video_rooms.siptrunk.door import REST_S, DoorParts, Ladder, SipDoor
from video_rooms.siptrunk.keeper import TrunkKeeper
from video_rooms.siptrunk.names import TrunkNames
from video_rooms.siptrunk.stay import VOICE, SipStay

pytestmark = pytest.mark.unit

PLAN = TrunkPlan("mark", Inbound("rooms-1", "patchbay", "p" * 32))
PASS_ID = "01J00000000000000000000001"
URL = "ws://rooms.invalid"
ROOM = "vr_live"


@dataclass
class Ear:
    """Fits ``StayEar``."""

    told: list[str] = field(default_factory=list)

    def put_out(self, why: str) -> None:
        self.told.append(f"out {why}")

    def track_muted(self, on: bool) -> None:
        self.told.append(f"muted {on}")

    def crowd(self) -> None:
        self.told.append("crowd")

    def voices(self) -> None:
        self.told.append("voices")


class Leg:
    """Fits ``SwitchLeg``."""

    def __init__(self, gone: Callable[[str], None]) -> None:
        self.answered = self.ended = False
        self.played: list[bytes] = []
        self.queued_ms = 0
        self._gone = gone

    def answer(self) -> None:
        self.answered = True

    def play(self, sound: bytes) -> bool:
        self.played.append(sound)
        return True

    def mark(self, name: str) -> None: ...

    def on_beat(self, do: Callable[[], None]) -> None: ...

    def hang_up(self) -> None:
        self.ended = True
        asyncio.get_running_loop().call_soon(self._gone, "hangup")


@dataclass
class Port:
    """Fits ``SwitchPort``; what is expected comes at once, where the switch calls."""

    legs: dict[str, Leg] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)

    def dial_string(self, token: str) -> str:
        return f"WebSocket/room0/c(slin16)nf(json)/{token}"

    def expect(self, token: str, ear: SwitchEar, within_s: float) -> None:
        leg = self.legs[token] = Leg(ear.gone)
        asyncio.get_running_loop().call_soon(lambda: ear.arrived(leg))

    def forget(self, token: str) -> None:
        self.forgotten.append(token)

    @property
    def leg(self) -> Leg:
        return list(self.legs.values())[-1]


@dataclass
class Elsewhere:
    """Fits ``RoomDoor``: the other way, which anchors take, too."""

    server: FakeRoomServer
    refuses: str = ""
    entered: list[Join] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    waits: asyncio.Event | None = None

    async def enter(self, join: Join, ear: StayEar, *, muted: bool) -> RoomStay:
        if self.waits is not None:
            await self.waits.wait()
        if self.refuses:
            raise NotAdmitted(self.refuses)
        self.entered.append(join)
        if join.identity.startswith("anchor_"):
            try:
                self.server.come_in(join.token)
            except TurnedAway as refusal:
                raise NotAdmitted(str(refusal)) from None
        return _Plain(self, join)  # type: ignore[return-value]

    async def close(self) -> None: ...


class _Plain:
    def __init__(self, door: Elsewhere, join: Join) -> None:
        self._door, self.identity = door, join.identity
        self.said = 0

    def say(self, frame: bytes) -> None:
        self.said += 1

    async def leave(self) -> None:
        self._door.left.append(self.identity)


@dataclass
class Stage:
    server: FakeRoomServer
    desk: FakeTrunkDesk
    calls: FakeTrunkCalls
    port: Port
    other: Elsewhere
    anchors: Anchors
    names: TrunkNames
    keeper: TrunkKeeper
    door: SipDoor
    ladder: Ladder
    now: list[float]
    parts: DoorParts

    def join(self, identity: str | None = None, *, name: str = "+44 •••• 1234") -> Join:
        grant = Grant(
            room=ROOM,
            identity=identity or self.names.identity(),
            name=name,
            role=Role.PHONE,
            pass_id=PASS_ID,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        token = press(grant, "key", "s" * 40, datetime.now(UTC), host_is_admin=True)
        return Join(URL, token, grant.identity)

    async def enter(self, join: Join | None = None) -> tuple[SipStay, Ear]:
        ear = Ear()
        stay = await self.door.enter(join or self.join(), ear, muted=False)
        await settle()
        return stay, ear


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@asynccontextmanager
async def staged(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(eyes, "EVERY_S", 0.01)
    server = FakeRoomServer(SystemClock())
    desk, port, chances, now = FakeTrunkDesk(server), Port(), CountedChances(), [0.0]
    calls, other = FakeTrunkCalls(desk), Elsewhere(server)
    keeper = TrunkKeeper(desk, PLAN, lambda: 1_000.0)
    await keeper.look()
    anchors = Anchors(other, server, chances, lambda: datetime.now(UTC))
    names = TrunkNames(chances.hexes)
    parts = DoorParts(port, calls, keeper, server, anchors, names, chances, lambda: now[0])
    door = SipDoor(parts)
    await server.create(ROOM, max_people=10)
    stage = Stage(
        server, desk, calls, port, other, anchors, names, keeper, door, Ladder(door, other), now, parts
    )
    try:
        yield stage
    finally:
        await door.close()


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(monkeypatch) as made:
        yield made


def rules(stage: Stage) -> list[OneCall]:
    return [thing for thing, _ in stage.desk.things.values() if isinstance(thing, OneCall)]


# ---------------------------------------------------------------- coming in


async def test_a_telephone_comes_in_as_who_it_was_to_be(stage: Stage) -> None:
    join = stage.join()
    stay, _ = await stage.enter(join)
    (call,) = stage.calls.placed
    assert stay.identity == join.identity
    assert call.caller == stage.names.caller_of(join.identity)
    assert (call.number, call.name) == ("rooms-1", "+44 •••• 1234")
    assert call.socket == stage.port.dial_string(next(iter(stage.port.legs)))
    people = {one.identity: one for one in await stage.server.people(ROOM)}
    assert people[join.identity].attributes[PASS] == PASS_ID
    assert people[join.identity].attributes[ROLE] == "phone"
    assert stage.desk.names == {join.identity: "+44 •••• 1234"}
    assert stage.port.leg.answered


async def test_the_rule_is_gone_once_the_call_was_taken(stage: Stage) -> None:
    await stage.enter()
    assert rules(stage) == []


async def test_somebody_who_counts_for_nobody_holds_the_room_open(stage: Stage) -> None:
    first, _ = await stage.enter()
    second, _ = await stage.enter()
    anchors = [one for one in await stage.server.people(ROOM) if one.identity.startswith("anchor_")]
    assert len(anchors) == 1
    assert not is_seen(anchors[0])
    assert second.others == 1, "the other telephone, and no anchor"
    await first.leave()
    assert len(stage.anchors) == 1
    await second.leave()
    assert len(stage.anchors) == 0
    assert stage.other.left == [anchors[0].identity]


async def test_sound_goes_both_ways(stage: Stage) -> None:
    stay, _ = await stage.enter()
    heard: list[bytes] = []
    assert dict(stay.published) == {VOICE: ""}
    stay.fetch(VOICE)
    stay.hear(VOICE, heard.append)
    stay.audio(b"a" * 640)
    stay.say(b"b" * 640)
    stay.mute(True)
    stay.say(b"c" * 640)
    stay.drop(VOICE)
    stay.audio(b"d" * 640)
    assert heard == [b"a" * 640]
    assert stage.port.leg.played == [b"b" * 640]


async def test_what_the_switch_has_not_played_yet_does_not_grow(stage: Stage) -> None:
    stay, _ = await stage.enter()
    stage.port.leg.queued_ms = 20
    for _ in range(100):
        stay.say(bytes(640))
    assert 80 < len(stage.port.leg.played) < 100


async def test_a_name_that_nobody_takes_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.INTRODUCE_S", 0.01)

    async def introduce(*_: object) -> bool:
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(FakeTrunkDesk, "introduce", introduce)
    stay, _ = await stage.enter()
    async with asyncio.timeout(2):  # less than the door waits for what never ends
        await stage.door.close()
    assert not stay.connected


async def test_each_stay_is_a_hall_of_its_own(stage: Stage) -> None:
    first, _ = await stage.enter()
    second, _ = await stage.enter()
    assert first.room != second.room


# ---------------------------------------------------------------- not coming in


@pytest.mark.parametrize(
    ("cause", "why"),
    [(17, "no_room"), (29, "refused"), (21, "unreachable"), (34, "unreachable"), (18, "timeout")],
)
async def test_a_refusal_is_told_in_the_rooms_words(stage: Stage, cause: int, why: str) -> None:
    if why == "no_room":
        await stage.server.delete(ROOM)
    stage.calls.cause = cause
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    await settle()
    assert caught.value.why == why
    assert (rules(stage), len(stage.door), len(stage.anchors)) == ([], 0, 0)
    assert len(stage.calls.placed) == (0 if why == "no_room" else 1)


async def test_busy_where_the_room_is_there_is_the_services_own_trouble(stage: Stage) -> None:
    stage.calls.cause = 17
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    assert caught.value.why == "unreachable"


async def test_busy_where_nobody_more_fits_in_says_so_and_the_service_is_not_blamed(stage: Stage) -> None:
    for _ in range(10):
        await stage.enter()
    stage.calls.cause = 17
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    assert (caught.value.why, stage.door.resting) == ("full", False)


async def test_where_nobody_else_brings_telephones_in_each_is_tried(stage: Stage) -> None:
    door = SipDoor(replace(stage.parts, rests=False))
    stage.calls.cause = 34
    for _ in range(2):
        with pytest.raises(NotAdmitted):
            await door.enter(stage.join(), Ear(), muted=False)
    assert len(stage.calls.placed) == 2
    await door.close()


async def test_whoever_is_listed_a_little_later_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.LOOK_AGAIN_S", 0)
    people, looks = stage.server.people, iter(range(3))

    async def late(name: str) -> tuple[LivePerson, ...]:
        return () if next(looks, None) is not None else await people(name)

    monkeypatch.setattr(FakeRoomServer, "people", lambda _, name: late(name))
    stay, _ = await stage.enter()
    assert stay.may_hear


async def test_whoever_was_led_into_anothers_room_is_taken_out_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.SEEN_S", 0)
    stage.calls.elsewhere = True
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    await settle()
    assert caught.value.why == "unreachable"
    assert stage.port.leg.ended


async def test_a_service_that_says_nothing_is_waited_for_no_longer_than_it_may(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.TAKE_S", 0.05)
    stage.calls.silent = True
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    await settle()
    assert caught.value.why == "timeout"
    assert stage.port.leg.ended
    assert (rules(stage), len(stage.anchors)) == ([], 0)


@pytest.mark.parametrize("fault", ["switch", "server", "no_trunk", "stranger", "no_pass", "anchor"])
async def test_whatever_is_missing_the_other_way_is_open(stage: Stage, fault: str) -> None:
    join = stage.join()
    match fault:
        case "switch":
            stage.calls.away = True
        case "server":
            stage.desk.away = True
        case "no_trunk":
            stage.desk.away = True
            await stage.keeper.look()
            stage.desk.away = False
        case "stranger":
            join = stage.join("phone_00000001")
        case "no_pass":
            join = Join(URL, "no.pass", join.identity)
        case "anchor":
            stage.other.refuses = "unreachable"
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter(join)
    await settle()
    assert caught.value.why == "unreachable"
    assert (len(stage.door), len(stage.anchors)) == (0, 0)


async def test_where_the_service_fails_the_other_way_is_taken_and_it_is_left_alone_a_while(
    stage: Stage,
) -> None:
    stage.calls.cause = 34
    join = stage.join()
    stay = await stage.ladder.enter(join, Ear(), muted=False)
    assert (stay.identity, stage.door.resting) == (join.identity, True)
    assert [one.identity for one in stage.other.entered][-1] == join.identity
    await stage.ladder.enter(stage.join(), Ear(), muted=False)
    assert len(stage.calls.placed) == 1, "no call while it rests"
    stage.calls.cause, stage.now[0] = None, REST_S
    assert isinstance(await stage.ladder.enter(stage.join(), Ear(), muted=False), SipStay)
    assert stage.ladder.joins == {("sip", "unreachable"): 1, ("bridge", "joined"): 2, ("sip", "joined"): 1}
    assert stage.ladder.fallbacks == {"unreachable": 1, "closed": 1}


@pytest.mark.parametrize(("cause", "why"), [(29, "refused")])
async def test_what_is_said_of_the_room_holds_for_either_way(stage: Stage, cause: int, why: str) -> None:
    stage.calls.cause = cause
    with pytest.raises(NotAdmitted) as caught:
        await stage.ladder.enter(stage.join(), Ear(), muted=False)
    assert caught.value.why == why
    assert (stage.door.open, stage.door.resting) == (True, False)
    assert (stage.ladder.joins, stage.ladder.fallbacks) == ({("sip", why): 1}, {})


async def test_an_anchor_that_is_slow_is_not_broken_off(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.door.TAKE_S", 0.05)
    stage.other.waits = asyncio.Event()
    with pytest.raises(NotAdmitted) as caught:
        await stage.enter()
    assert caught.value.why == "timeout"
    assert stage.calls.placed == []
    stage.other.waits.set()
    await settle()
    assert len(stage.other.left) == 1, "it came in, and left, for nobody wanted it any more"


# ---------------------------------------------------------------- inside


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for is told to nobody
            await asyncio.sleep(0.005)


async def test_a_host_who_mutes_and_a_key_that_unmutes(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stage.server.mute(ROOM, stay.identity, "audio")
    await until(lambda: ear.told == ["muted True"])
    stay.mute(False)
    await settle()
    (person,) = [one for one in await stage.server.people(ROOM) if one.identity == stay.identity]
    assert not person.tracks[0].muted
    await stay.leave()
    assert ear.told == ["muted True"]


async def test_a_look_of_before_is_no_new_mute(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stage.server.mute(ROOM, stay.identity, "audio")
    looks = stage.door._stage.eyes
    old = await looks.look(ROOM)
    assert old is not None
    assert ear.told == ["muted True"]
    stay.mute(False)
    stay.seen(replace(old, turn=looks.turn))
    await settle()
    stay.seen(replace(old, turn=looks.turn))
    assert ear.told == ["muted True"], "it was on its way when the mute was taken back"
    await stage.server.mute(ROOM, stay.identity, "audio")
    await looks.look(ROOM)
    assert ear.told == ["muted True"] * 2


async def test_whoever_is_put_out_while_muted_hears_of_that_alone(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await stage.server.mute(ROOM, stay.identity, "audio")
    await stage.door._stage.eyes.look(ROOM)
    await stage.server.remove(ROOM, stay.identity)
    stage.calls.ends(stay.call_id, 16)
    await until(lambda: len(ear.told) > 1)
    assert ear.told == ["muted True", "out removed"]


async def test_ones_own_mute_is_shown(stage: Stage) -> None:
    stay, _ = await stage.enter()
    for on in (True, False):
        stay.mute(on)
        await settle()
        (person,) = [one for one in await stage.server.people(ROOM) if one.identity == stay.identity]
        assert person.attributes["muted"] == ("true" if on else "false")


async def test_who_comes_is_noticed_by_the_others_at_once(stage: Stage) -> None:
    _, ear = await stage.enter()
    await stage.enter()
    assert ear.told == ["crowd"]


async def test_of_two_looks_at_once_the_later_one_counts(stage: Stage) -> None:
    stay, ear = await stage.enter()
    looks = stage.door._stage.eyes
    old = await looks.look(ROOM)
    await stage.enter()
    assert old is not None
    looks._tell(ROOM, old)
    assert (stay.others, ear.told) == (1, ["crowd"])


async def test_who_comes_is_noticed(stage: Stage) -> None:
    stay, ear = await stage.enter()
    other, _ = await stage.enter()
    await until(lambda: "crowd" in ear.told)
    assert stay.others == 1
    await other.leave()


@pytest.mark.parametrize(
    ("what", "cause", "why"),
    [("removed", 16, "removed"), ("deleted", 16, "room_ended"), ("broken", 44, "lost"), ("away", 16, "lost")],
)
async def test_why_a_stay_is_over(stage: Stage, what: str, cause: int, why: str) -> None:
    stay, ear = await stage.enter()
    match what:
        case "removed":
            await stage.server.remove(ROOM, stay.identity)
        case "deleted":
            await stage.server.delete(ROOM)
        case "away":
            stage.server.away = True
    stage.calls.ends(stay.call_id, cause)
    stay.gone("hangup")
    await until(lambda: bool(ear.told))
    assert ear.told == [f"out {why}"]
    assert not stay.may_hear


async def test_whoever_has_the_same_identity_takes_the_place(stage: Stage) -> None:
    join = stage.join()
    older, ear = await stage.enter(join)
    await stage.enter(join)
    stage.calls.ends(older.call_id, 16)
    await until(lambda: bool(ear.told))
    assert ear.told == ["out replaced"]


async def test_our_own_end_that_breaks_is_the_end_even_if_nobody_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_rooms.siptrunk.stay._TOLD_S", 0.01)
    stay, ear = await stage.enter()
    stay.gone("stalled")
    await until(lambda: bool(ear.told))
    assert ear.told == ["out lost"]


async def test_whoever_leaves_hears_no_more(stage: Stage) -> None:
    stay, ear = await stage.enter()
    await asyncio.gather(stay.leave(), stay.leave())
    assert stage.port.leg.ended
    stay.over(16)
    await settle()
    assert (ear.told, len(stage.door), stage.calls.ears) == ([], 0, {})
    assert len(stage.port.forgotten) == 1


async def test_what_it_shows_is_shown_in_order(stage: Stage) -> None:
    stay, _ = await stage.enter()
    for number in range(5):
        stay.show({"n": str(number)})
    await settle()
    (person,) = [one for one in await stage.server.people(ROOM) if one.identity == stay.identity]
    assert person.attributes["n"] == "4"


# ---------------------------------------------------------------- passes and names


def test_a_pass_is_read_and_nothing_else_is() -> None:
    for text in (
        "",
        "a.b",
        "a.b.c",
        "a.bm90IGpzb24.c",
        "a.W10.c",
        "a.e30.c",
        "a.eyJ2aWRlbyI6MX0.c",
        "fake.1.r.i",
    ):
        assert read_pass(text) is None


def test_names_are_remembered_for_as_long_as_there_is_room() -> None:
    names = TrunkNames(CountedChances().hexes)
    first = names.identity()
    assert names.caller_of(first) == f"{1:032x}"
    for _ in range(20_000):
        names.identity()
    assert names.caller_of(first) is None
