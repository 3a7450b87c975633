"""What rooms ask of a media server, of the one in memory and of LiveKit's alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from telephony.errors import NotAuthenticated
from tests.contract.video_rooms.worlds import MemoryWorld, RealWorld, Refused, World, grant, soon
from tests.rig.livekit import LiveKitRig
from video_rooms.core.live import PASS, ROLE, Happened, Kind, LivePerson
from video_rooms.core.room import Role
from video_rooms.ports import RoomServer

pytestmark = pytest.mark.contract


@pytest.fixture(params=["memory", "livekit"])
def rig(request: pytest.FixtureRequest) -> LiveKitRig | None:
    return request.getfixturevalue("livekit") if request.param == "livekit" else None


@pytest.fixture
async def world(rig: LiveKitRig | None) -> AsyncIterator[World]:
    if rig is None:
        yield MemoryWorld()
        return
    real = RealWorld(rig)
    yield real
    await real.server.close()


async def until(
    server: RoomServer, room: str, holds: Callable[[Sequence[LivePerson]], object]
) -> tuple[LivePerson, ...]:
    """Who is in the room, once that is as wanted."""
    seen: tuple[LivePerson, ...] = ()
    try:
        async with asyncio.timeout(20):
            while True:
                seen = await server.people(room)
                if holds(seen):
                    return seen
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not as wanted: {seen}") from None


def of(people: Sequence[LivePerson], identity: str) -> LivePerson:
    return next(person for person in people if person.identity == identity)


async def test_a_room_is_made_once_and_ended_once(world: World) -> None:
    name = world.room()
    made = await world.server.create(name, max_people=7, metadata='{"a":1}')
    assert (made.name, made.max_people, made.people, made.metadata) == (name, 7, 0, '{"a":1}')
    assert abs((made.created_at - world.clock.wall()).total_seconds()) < 30
    again = await world.server.create(name, max_people=3, metadata="other")
    assert again == made
    assert await world.server.rooms([name, "not-there"]) == (made,)
    assert made in await world.server.rooms()
    assert await world.server.rooms([]) == ()
    assert await world.server.delete(name)
    assert not await world.server.delete(name)
    assert await world.server.rooms([name]) == ()


async def test_who_is_in_is_told_with_what_their_token_says(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    given = grant(world.clock, name, "ada", metadata='{"team":"x"}', attributes={"color": "red"})
    async with world.inside(world.server.token(given)):
        (ada,) = await until(world.server, name, len)
        assert (ada.identity, ada.name, ada.kind, ada.hidden) == ("ada", "Ada", Kind.STANDARD, False)
        assert ada.attributes == {"color": "red", PASS: given.pass_id, ROLE: "participant"}
        assert abs((ada.joined_at - world.clock.wall()).total_seconds()) < 30
        assert not ada.tracks
    await until(world.server, name, lambda people: not people)
    assert await world.server.people("not-there") == ()


async def test_whoever_is_put_out_is_out(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    async with world.inside(world.server.token(grant(world.clock, name, "ada"))) as ada:
        assert not await world.server.remove(name, "bob")
        assert await world.server.remove(name, "ada")
        await ada.until_out()
        await until(world.server, name, lambda people: not people)
        assert not await world.server.remove(name, "ada")
    assert not await world.server.remove("not-there", "ada")


async def test_a_mute_is_for_every_track_of_the_kind_and_leaves_the_right(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    async with world.inside(world.server.token(grant(world.clock, name, "ada"))) as ada:
        assert await world.server.mute(name, "ada", "audio"), "muted already"
        await ada.publish("audio")
        await ada.publish("video")
        seen = await until(world.server, name, lambda people: len(of(people, "ada").tracks) == 2)
        assert of(seen, "ada").publishing
        assert {(t.kind, t.source, t.muted) for t in of(seen, "ada").tracks} == {
            ("audio", "microphone", False),
            ("video", "camera", False),
        }
        assert await world.server.mute(name, "ada", "audio")
        muted = await until(world.server, name, lambda people: any(t.muted for t in of(people, "ada").tracks))
        assert {t.kind for t in of(muted, "ada").tracks if t.muted} == {"audio"}
        await ada.unmute()
        await until(world.server, name, lambda people: not any(t.muted for t in of(people, "ada").tracks))
    assert not await world.server.mute(name, "bob", "audio")
    assert not await world.server.mute("not-there", "bob", "video")


async def test_whoever_waits_is_there_and_may_nothing_until_let_in(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    waiting = grant(world.clock, name, "ada", waiting=True, attributes={"state": "waiting"})
    async with world.inside(world.server.token(waiting)) as ada:
        await until(world.server, name, len)
        assert not await ada.may_publish()
        assert await world.server.update(name, "ada", attributes={"state": "", "hand": "up"}, let_in=True)
        await ada.publish("audio")
        seen = await until(world.server, name, lambda people: of(people, "ada").tracks)
        attributes = of(seen, "ada").attributes
        assert attributes == {"hand": "up", PASS: waiting.pass_id, ROLE: "participant"}
        assert await world.server.update(name, "ada", attributes={}, let_in=False)
        await until(world.server, name, lambda people: not of(people, "ada").tracks)
    assert not await world.server.update(name, "bob", attributes={"a": "b"}, let_in=True)
    assert not await world.server.update("not-there", "bob", attributes={"a": "b"})


async def test_packets_reach_those_they_are_for(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    async with (
        world.inside(world.server.token(grant(world.clock, name, "ada"))) as ada,
        world.inside(world.server.token(grant(world.clock, name, "bob"))) as bob,
    ):
        for who in ("ada", "bob"):  # reported once packets reach them
            await world.delivery("participant_joined", name, who)
        await world.server.send(name, b"for bob", topic="t", to=["bob"])
        await world.server.send(name, b"for all", topic="t")
        assert await bob.until_sent(2) == [(b"for bob", "t"), (b"for all", "t")]
        assert await ada.until_sent(1) == [(b"for all", "t")]
    began = time.monotonic()
    await world.server.send("not-there", b"x", topic="t")
    assert time.monotonic() - began < 2.5, "LiveKit itself waits for three seconds"


async def test_nobody_comes_in_by_a_token_that_is_over_or_of_no_room(world: World) -> None:
    name = world.room()
    late = grant(world.clock, name, "ada", expires_at=soon(world.clock, -120))
    early = grant(world.clock, name, "ada")
    for token in (world.server.token(early), world.server.token(late)):
        with pytest.raises(Refused):
            async with world.inside(token):
                pytest.fail("was let in")
    await world.server.create(name, max_people=5)
    with pytest.raises(Refused):
        async with world.inside(world.server.token(late)):
            pytest.fail("was let in")
    async with world.inside(world.server.token(early)) as ada:
        await until(world.server, name, len)
        assert await world.server.delete(name)
        await ada.until_out()
    with pytest.raises(Refused):
        async with world.inside(world.server.token(early)):
            pytest.fail("was let in")
    assert await world.server.rooms([name]) == (), "a token makes no room anew"


async def test_a_full_room_lets_nobody_in_but_a_recorder_and_an_agent(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=1)
    async with world.inside(world.server.token(grant(world.clock, name, "ada"))):
        await until(world.server, name, len)
        with pytest.raises(Refused):
            async with world.inside(world.server.token(grant(world.clock, name, "bob"))):
                pytest.fail("was let in")
        recorder = grant(world.clock, name, "tape", role=Role.RECORDER)
        agent = grant(world.clock, name, "bot", role=Role.AGENT)
        async with (
            world.inside(world.server.token(recorder)) as tape,
            world.inside(world.server.token(agent)) as bot,
        ):
            people = await until(world.server, name, lambda people: len(people) == 3)
            assert (of(people, "tape").hidden, of(people, "tape").kind) == (True, Kind.EGRESS)
            assert (of(people, "bot").hidden, of(people, "bot").kind) == (False, Kind.AGENT)
            assert not await tape.may_publish()
            assert await bot.may_publish()


async def test_whoever_comes_again_takes_their_own_place(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    async with world.inside(world.server.token(grant(world.clock, name, "ada"))) as first:
        (before,) = await until(world.server, name, len)
        async with world.inside(world.server.token(grant(world.clock, name, "ada"))):
            await first.until_out()
            (after,) = await until(
                world.server,
                name,
                lambda people: [p.sid for p in people] != [before.sid] and len(people) == 1,
            )
            assert after.sid != before.sid


async def test_what_happens_is_reported_and_signed(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    given = grant(world.clock, name, "ada")
    async with world.inside(world.server.token(given)) as ada:
        await ada.publish("audio")
        await world.delivery("track_published", name, "ada")
    await world.delivery("participant_left", name, "ada")
    assert await world.server.delete(name)
    ids = set()
    for what in (
        "room_started",
        "participant_joined",
        "track_published",
        "participant_left",
        "room_finished",
    ):
        delivery = await world.delivery(what, name)
        event = world.server.heard(delivery.body, delivery.authorization)
        assert event is not None
        assert event.what is Happened(what)
        assert event.room is not None
        assert event.room.name == name
        assert abs((event.at - world.clock.wall()).total_seconds()) < 30
        assert event == world.server.heard(delivery.body, delivery.authorization), "a repeat is the same"
        ids.add(event.id)
        assert event.why == ("client_initiated" if what == "participant_left" else "")
        if what in ("room_started", "room_finished"):
            assert event.person is None
            continue
        assert event.person is not None
        assert event.person.identity == "ada"
        if what == "track_published":
            assert [(t.kind, t.source) for t in event.person.tracks] == [("audio", "microphone")]
            assert event.person.attributes == {}
            assert (event.room.max_people, event.room.created_at.year) == (0, 1970)
        else:
            assert event.person.attributes[PASS] == given.pass_id
    assert len(ids) == 5


async def test_a_report_that_is_not_as_it_was_signed_is_refused(world: World) -> None:
    one, other = world.room(), world.room()
    await world.server.create(one, max_people=5)
    await world.server.create(other, max_people=5)
    first, second = await world.delivery("room_started", one), await world.delivery("room_started", other)
    for body, authorization in (
        (first.body + b" ", first.authorization),
        (first.body, second.authorization),
        (first.body, first.authorization[:-2] + "AA"),
        (first.body, ""),
        (b"", first.authorization),
    ):
        with pytest.raises(NotAuthenticated):
            world.server.heard(body, authorization)


async def test_without_a_recorder_there_is_no_recording_and_no_wait(world: World) -> None:
    name = world.room()
    await world.server.create(name, max_people=5)
    began = time.monotonic()
    assert await world.server.start_recording(name, "/tmp/x.mp4") is None
    assert not await world.server.stop_recording("EG_notthere")
    assert time.monotonic() - began < 2.5, "LiveKit itself waits for three seconds"
