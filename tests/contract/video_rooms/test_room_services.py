"""Scheduled rooms, their people and their ends, over a media server in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from telephony.errors import Conflict, InvalidInput, NotFound, RoomsUnavailable, StorageUnavailable
from tests.rig.room_desk import NEW, OURS, T0, THEIRS, World
from video_rooms.core.live import PASS
from video_rooms.core.room import Presence, Role, Status
from video_rooms.fakes import FakeRoomServer, TurnedAway

pytestmark = pytest.mark.contract

HOUR = timedelta(hours=1)


# ---------------------------------------------------------------- schedule and join


async def test_a_room_is_there_at_once_with_its_hosts_pass(world: World) -> None:
    made = await world.desk.scheduled.schedule(OURS, NEW)
    room = made.room
    assert (room.status, room.created_at, room.settings) == (Status.SCHEDULED, T0, {"colour": "blue"})
    assert room.room_sid == (await world.server.rooms([room.live_name]))[0].sid
    assert len(room.pin) == 9
    grant = world.server.grant_of(made.host.token)
    assert (grant.role, grant.identity, grant.room) == (Role.HOST, "key_host", room.live_name)
    assert grant.expires_at == T0 + 6 * HOUR == made.host.expires_at
    assert world.told.kinds() == ["room.scheduled"]
    assert world.server.come_in(made.host.token).identity == "key_host"


async def test_nothing_is_kept_where_the_media_server_is_away(fake_world: World) -> None:
    world = fake_world
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.schedule(OURS, NEW)
    assert world.rooms.rows == {}


async def test_a_taken_pin_is_drawn_again(world: World) -> None:
    world.chances.pins = ["123456789", "123456789", "987654321"]
    assert (await world.schedule()).pin == "123456789"
    assert (await world.schedule()).pin == "987654321"
    assert (await world.schedule(dial_in=False)).pin == ""


async def test_the_first_to_come_makes_the_room_live(world: World) -> None:
    room = await world.schedule()
    world.clock.advance(10)
    await world.come(room, "ann")
    world.clock.advance(5)
    await world.come(room, "bob", Role.HOST)
    room = await world.room(room)
    assert (room.status, room.started_at) == (Status.LIVE, T0 + timedelta(seconds=10))
    detail = await world.desk.scheduled.detail(OURS, room.id)
    roster = [(one.identity, one.role, one.presence, one.display_name) for one in detail.people]
    assert roster == [
        ("ann", Role.PARTICIPANT, Presence.JOINED, "ann's name"),
        ("bob", Role.HOST, Presence.JOINED, "bob's name"),
    ]
    assert world.told.kinds() == [
        "room.scheduled",
        "room.participant.joined",
        "room.started",
        "room.participant.joined",
    ]
    assert ("host_came", room.id, "") in world.phones.orders


async def test_a_room_that_timed_out_is_begun_anew_by_whoever_joins(world: World) -> None:
    room = await world.schedule()
    world.clock.advance(3601)
    world.server.end_idle()
    await world.reported()
    assert (await world.room(room)).status is Status.SCHEDULED
    passed = await world.join(room, "ann")
    assert passed.room.room_sid not in (None, room.room_sid)
    assert passed.room.live_name == room.live_name
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.room(room)).status is Status.LIVE


@pytest.mark.parametrize("ttl_s", [59, 86_401, 0, -1])
async def test_a_pass_lasts_no_shorter_or_longer_than_allowed(world: World, ttl_s: int) -> None:
    room = await world.schedule()
    with pytest.raises(InvalidInput) as caught:
        await world.join(room, "ann", ttl_s=ttl_s)
    assert caught.value.field == "ttl_seconds"


@pytest.mark.parametrize("ttl_s", [60, 86_400])
async def test_a_pass_opens_until_it_expires(world: World, ttl_s: int) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann", ttl_s=ttl_s)
    assert passed.expires_at == T0 + timedelta(seconds=ttl_s)
    await world.come(room, "bob")
    world.clock.advance(ttl_s)
    with pytest.raises(TurnedAway, match="expired"):
        world.server.come_in(passed.token)


async def test_nobody_enters_another_tenants_room(world: World) -> None:
    room = await world.schedule()
    foreign = replace(room, tenant=THEIRS)
    scheduled = world.desk.scheduled
    for asked in (
        lambda: world.join(foreign, "ann"),
        lambda: scheduled.detail(THEIRS, room.id),
        lambda: scheduled.end(THEIRS, room.id),
        lambda: scheduled.kick(THEIRS, room.id, "ann"),
        lambda: scheduled.mute(THEIRS, room.id, "ann", "audio"),
        lambda: scheduled.admit(THEIRS, room.id, "ann"),
        lambda: scheduled.deny(THEIRS, room.id, "ann"),
        lambda: scheduled.start_recording(THEIRS, room.id),
        lambda: scheduled.stop_recording(THEIRS, room.id),
        lambda: scheduled.skip(THEIRS, room.id, T0),
        lambda: scheduled.calendar(THEIRS, room.id),
        lambda: world.desk.invites.page(THEIRS, room.id, expired_too=True, limit=9),
    ):
        with pytest.raises(NotFound):
            await asked()
    assert await scheduled.page(THEIRS, None, 9) == ()


async def test_a_room_takes_as_many_as_it_holds(world: World) -> None:
    room = await world.schedule(max_participants=2)
    await world.come(room, "ann")
    assert await world.desk.scheduled.has_space(room)
    await world.come(room, "bob")
    assert not await world.desk.scheduled.has_space(room)
    with pytest.raises(Conflict) as caught:
        await world.join(room, "phone_1", Role.PHONE)
    assert caught.value.code == "ROOM_FULL"
    with pytest.raises(TurnedAway, match="full"):
        world.server.come_in((await world.join(room, "carl")).token)
    await world.leave(room, "bob")
    world.server.come_in((await world.join(room, "phone_1", Role.PHONE)).token)
    await world.reported()
    assert await world.present(room) == {"ann", "phone_1"}


async def test_numbers_are_seen_by_nobody(world: World) -> None:
    room = await world.schedule(name="Call of +447700900123")
    passed = await world.join(room, "+447700900123")
    assert world.server.grant_of(passed.token).name == "+44 •••• 0123's name"
    await world.come(room, "+447700900123")
    assert (await world.line(room, "+447700900123")).display_name == "+44 •••• 0123's name"
    assert "7700900123" not in str(world.told.events)


# ---------------------------------------------------------------- what goes wrong


async def test_a_report_is_taken_once(world: World) -> None:
    room = await world.schedule()
    world.server.come_in((await world.join(room, "ann")).token)
    again = world.server.take()
    await world.reported(again)
    await world.reported(again)
    assert world.told.kinds().count("room.participant.joined") == 1
    assert world.desk.hook.tally["again"] == len(again)


async def test_a_report_that_could_not_be_written_is_taken_when_it_comes_again(fake_world: World) -> None:
    world = fake_world
    room = await world.schedule()
    world.server.come_in((await world.join(room, "ann")).token)
    delivery = world.server.take()[-1]
    world.rooms.away = True
    with pytest.raises(StorageUnavailable):
        await world.reported([delivery])
    world.rooms.away = False
    await world.reported([delivery])
    assert await world.present(room) == {"ann"}


async def test_what_was_not_reported_is_found_by_a_look(world: World) -> None:
    room = await world.schedule()
    world.server.come_in((await world.join(room, "ann")).token)
    world.clock.advance(3)
    await world.look()
    assert await world.present(room) == {"ann"}
    assert (await world.room(room)).status is Status.LIVE
    world.clock.advance(10)
    world.server.leave(room.live_name, "ann")
    world.clock.advance(1)
    await world.look()
    line = await world.line(room, "ann")
    assert (line.presence, line.why_left) == (Presence.LEFT, "lost")
    late = world.server.take()
    await world.reported(late)
    line = await world.line(room, "ann")
    assert (line.left_at, line.why_left) == (T0 + timedelta(seconds=13), "left")
    assert world.told.kinds().count("room.participant.left") == 1


async def test_a_report_of_an_earlier_room_of_the_same_name_changes_nothing(world: World) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    late = world.server.take()
    world.server.crash()
    await world.join(room, "bob")
    await world.reported(late)
    assert await world.people.of(room.id) == ()
    assert (await world.room(room)).status is Status.SCHEDULED


async def test_who_has_just_come_is_not_missed_by_a_look_that_was_taken_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    world.clock.advance(1)

    async def nobody(*_: object) -> tuple[()]:
        return ()

    with monkeypatch.context() as earlier:
        earlier.setattr(FakeRoomServer, "people", nobody)
        await world.look()
        assert await world.present(room) == {"ann"}
        world.clock.advance(2)
        await world.look()
        assert await world.present(room) == set()
    await world.look()
    assert await world.present(room) == {"ann"}


async def test_a_media_server_that_was_started_anew_ends_what_was_live(world: World) -> None:
    room = await world.schedule()
    later = await world.schedule(scheduled_at=T0 + HOUR)
    quiet = await world.schedule()
    await world.come(room, "ann")
    await world.come(later, "ann")
    world.server.crash()
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.look()
    assert (await world.room(room)).status is Status.LIVE
    assert await world.present(room) == {"ann"}
    world.server.away = False
    world.clock.advance(5)
    await world.look()
    assert (await world.room(room)).status is Status.ENDED
    assert world.told.last("room.ended")["why"] == "media_server_lost_it"
    assert (await world.line(room, "ann")).why_left == "lost"
    assert (await world.room(later)).status is Status.SCHEDULED
    assert (await world.room(quiet)).status is Status.SCHEDULED
    await world.come(later, "bob")
    await world.come(quiet, "bob")
    assert await world.present(later) == {"bob"} == await world.present(quiet)


async def test_who_joins_a_live_room_that_the_media_server_lost_meets_its_end(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    world.server.crash()
    with pytest.raises(NotFound):
        await world.join(room, "bob")
    assert (await world.room(room)).status is Status.ENDED


async def test_recorders_and_helpers_are_not_on_the_roster(world: World) -> None:
    room = await world.schedule(max_participants=1)
    await world.come(room, "recorder_1", Role.RECORDER)
    await world.come(room, "agent_1", Role.AGENT)
    assert (await world.room(room)).status is Status.SCHEDULED
    assert await world.present(room) == {"agent_1"}
    await world.come(room, "ann")
    assert await world.present(room) == {"agent_1", "ann"}
    assert (await world.room(room)).status is Status.LIVE


async def test_a_pass_travels_in_the_attributes(world: World) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann", user_id="u1", contact_id="c1")
    person = world.server.come_in(passed.token)
    assert person.attributes[PASS] == world.server.grant_of(passed.token).pass_id
    assert (person.attributes["user_id"], person.attributes["contact_id"]) == ("u1", "c1")
