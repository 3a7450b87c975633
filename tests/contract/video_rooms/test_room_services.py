"""Scheduled rooms, their people and their ends, over a media server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from telephony.errors import Conflict, InvalidInput, NotFound, RoomsUnavailable, StorageUnavailable
from tests.rig.room_desk import NEW, OURS, T0, THEIRS, World, opened_world
from video_rooms.core.live import PASS
from video_rooms.core.room import Presence, Recurrence, Role, Room, Status
from video_rooms.core.wishes import InviteWish, RoomChange
from video_rooms.fakes import FakeRoomServer, TurnedAway
from video_rooms.fakes_around import FakeRecorder

pytestmark = pytest.mark.contract


@pytest.fixture(params=["fakes", "sql"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with opened_world(request.param) as opened:
        yield opened


@pytest.fixture
def fake_world() -> World:
    """For what only stores in memory can be made to do."""
    return World()


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


# ---------------------------------------------------------------- ends


async def test_all_gone_after_its_time_is_the_end(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    world.clock.advance(60)
    await world.leave(room, "ann")
    assert (await world.room(room)).status is Status.LIVE
    await world.all_gone()
    ended = await world.room(room)
    assert (ended.status, ended.ended_at) == (Status.ENDED, world.clock.wall())
    assert world.told.last("room.ended")["why"] == "empty"
    assert (await world.line(room, "ann")).why_left == "left"
    with pytest.raises(NotFound):
        await world.join(room, "ann")


async def test_all_gone_before_its_time_waits_for_it_under_another_name(world: World) -> None:
    room = await world.schedule(scheduled_at=T0 + HOUR)
    early = await world.join(room, "ann")
    world.server.come_in(early.token)
    await world.reported()
    await world.leave(room, "ann")
    await world.all_gone()
    again = await world.room(room)
    assert (again.status, again.started_at, again.ended_at) == (Status.SCHEDULED, None, None)
    assert again.live_name != room.live_name
    assert "room.ended" not in world.told.kinds()
    world.clock.advance(3600)
    await world.come(room, "bob")
    with pytest.raises(TurnedAway, match="no_room"):
        world.server.come_in(early.token)
    assert [one.identity for one in (await world.desk.scheduled.detail(OURS, room.id)).people] == ["bob"]
    await world.leave(room, "bob")
    await world.all_gone()
    assert (await world.room(room)).status is Status.ENDED


async def test_a_series_ends_with_its_last_occurrence(world: World) -> None:
    room = await world.schedule(
        scheduled_at=T0, recurrence=Recurrence("FREQ=DAILY;COUNT=3", "Europe/Berlin"), recording_enabled=True
    )
    names = set()
    for day in range(3):
        assert (await world.room(room)).status is Status.SCHEDULED, day
        names.add((await world.room(room)).live_name)
        await world.come(room, "ann")
        await world.leave(room, "ann")
        await world.all_gone()
        world.clock.advance(86_400 - 61)
    assert (await world.room(room)).status is Status.ENDED
    assert len(names) == 3
    assert world.told.kinds().count("room.started") == 3
    assert world.told.kinds().count("room.ended") == 1
    assert world.recorder.begun == 3


async def test_the_end_puts_everybody_out(world: World) -> None:
    room = await world.schedule(recording_enabled=True)
    await world.come(room, "ann")
    await world.come(room, "bob")
    world.clock.advance(30)
    ended = await world.desk.scheduled.end(OURS, room.id)
    await world.reported()
    assert (ended.status, ended.ended_at) == (Status.ENDED, world.clock.wall())
    assert world.there(room) == set()
    assert await world.server.rooms([room.live_name]) == ()
    lines = (await world.desk.scheduled.detail(OURS, room.id)).people
    assert {(one.presence, one.why_left) for one in lines} == {(Presence.LEFT, "room_ended")}
    assert world.recorder.stopped == ["EG_1"]
    assert ("room_over", room.id, "") in world.phones.orders
    assert world.told.last("room.ended")["why"] == "api"
    before = list(world.told.events)
    assert (await world.desk.scheduled.end(OURS, room.id)).ended_at == ended.ended_at
    assert world.told.events == before
    with pytest.raises(NotFound):
        await world.join(room, "ann")


async def test_an_end_holds_though_the_media_server_is_away(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.end(OURS, room.id)
    assert (await world.room(room)).status is Status.ENDED
    world.server.away = False
    assert world.there(room) == {"ann"}
    await world.look()
    assert world.there(room) == set()
    assert await world.rooms.unfinished() == ()


async def test_who_comes_while_a_room_ends_is_not_left_in_it(world: World) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann")
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.end(OURS, room.id)
    world.server.away = False
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.LEFT
    await world.look()
    assert world.there(room) == set()


async def test_a_media_server_that_makes_rooms_for_whoever_comes_does_not_open_what_has_ended(
    world: World,
) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    old = await world.join(room, "bob")
    await world.desk.scheduled.end(OURS, room.id)
    await world.server.create(room.live_name, max_people=10)
    world.server.come_in(old.token)
    await world.reported()
    await world.look()
    assert world.there(room) == set()
    assert await world.present(room) == set()
    assert (await world.room(room)).status is Status.ENDED


# ---------------------------------------------------------------- to which nobody came


async def test_a_room_to_which_nobody_came_ends_once(world: World) -> None:
    room = await world.schedule(scheduled_at=T0 + HOUR, duration_minutes=30)
    opened = await world.schedule()
    series = await world.schedule(
        scheduled_at=T0 + HOUR, recurrence=Recurrence("FREQ=WEEKLY;COUNT=2", "Europe/Berlin")
    )
    invite = await world.desk.invites.create(OURS, room.id, InviteWish(None, 168, None))
    world.clock.advance(25.4 * 3600)
    await world.desk.reconciler.end_overdue()
    assert (await world.room(room)).status is Status.SCHEDULED
    world.clock.advance(0.2 * 3600)
    for _ in range(2):
        await world.desk.reconciler.end_overdue()
    after = await world.room(room)
    assert (after.status, after.why_ended, after.started_at) == (Status.ENDED, "time_over", None)
    assert after.ended_at == world.clock.wall()
    assert world.told.kinds().count("room.ended") == 1
    assert world.told.last("room.ended")["why"] == "time_over"
    assert await world.rooms.of_pin(room.pin) is None
    with pytest.raises(NotFound):
        await world.desk.invites.redeem(invite.token, "A guest", None)
    with pytest.raises(NotFound):
        await world.join(room, "ann")
    await world.look()
    assert await world.server.rooms([room.live_name]) == ()
    assert {(await world.room(one)).status for one in (opened, series)} == {Status.SCHEDULED}
    world.clock.advance(8 * 86_400)
    await world.desk.reconciler.end_overdue()
    assert (await world.room(series)).status is Status.ENDED
    assert (await world.room(opened)).status is Status.SCHEDULED


async def test_whoever_is_there_unheard_of_or_waits_is_waited_for(world: World) -> None:
    unheard, lobby = [await world.schedule(scheduled_at=T0, waiting_room=waits) for waits in (False, True)]
    await world.come(lobby, "bob")
    world.server.come_in((await world.join(unheard, "ann")).token)
    world.server.take()
    world.clock.advance(26 * 3600)
    await world.desk.reconciler.end_overdue()
    assert {(await world.room(one)).status for one in (unheard, lobby)} == {Status.SCHEDULED}
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.reconciler.end_overdue()
    world.server.away = False
    for one, identity in ((unheard, "ann"), (lobby, "bob")):
        world.server.leave(one.live_name, identity)
    world.server.take()
    await world.look()
    await world.desk.reconciler.end_overdue()
    assert {(await world.room(one)).why_ended for one in (unheard, lobby)} == {"time_over"}


# ---------------------------------------------------------------- kick


async def test_a_kick_holds_against_the_old_pass_and_not_against_a_fresh_one(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "host", Role.HOST)
    old = await world.join(room, "ann")
    world.server.come_in(old.token)
    await world.reported()
    world.clock.advance(1)
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    assert world.there(room) == {"host"}
    await world.reported()
    for _ in range(100):
        world.server.come_in(old.token)
        await world.reported()
        assert world.there(room) == {"host"}
    assert (await world.line(room, "ann")).why_left == "kicked"
    assert await world.present(room) == {"host"}
    assert world.told.kinds().count("room.participant.kicked") == 1
    assert world.told.kinds().count("room.participant.left") == 1
    assert world.told.kinds().count("room.participant.joined") == 2
    world.server.come_in((await world.join(room, "ann")).token)
    await world.reported()
    assert world.there(room) == {"host", "ann"} == await world.present(room)
    await world.look()
    assert world.there(room) == {"host", "ann"}


async def test_a_kick_holds_where_no_report_comes(world: World) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    world.clock.advance(1)
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    world.server.come_in(passed.token)
    world.server.take()
    assert world.desk.watched.names() == (room.live_name,)
    await world.desk.reconciler.look_at(world.desk.watched.names())
    assert world.there(room) == set()
    world.server.come_in(passed.token)
    await world.look()
    assert world.there(room) == set()
    world.clock.advance(601)
    assert world.desk.watched.names() == ()


async def test_a_late_report_of_the_old_pass_does_not_put_out_the_fresh_one(world: World) -> None:
    room = await world.schedule()
    old = await world.join(room, "ann")
    world.server.come_in(old.token)
    late = world.server.take()
    world.clock.advance(1)
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    world.server.come_in((await world.join(room, "ann")).token)
    await world.reported()
    await world.reported(late)
    assert world.there(room) == {"ann"} == await world.present(room)


async def test_who_is_kicked_in_the_moment_of_their_pass_is_out(world: World) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    assert world.there(room) == set()
    fresh = await world.join(room, "ann")
    assert world.server.grant_of(fresh.token).pass_id > world.server.grant_of(passed.token).pass_id
    world.server.come_in(fresh.token)
    await world.reported()
    assert world.there(room) == {"ann"}


async def test_nobody_is_kicked_who_is_not_there(world: World) -> None:
    room = await world.schedule()
    with pytest.raises(NotFound):
        await world.desk.scheduled.kick(OURS, room.id, "ann")
    await world.come(room, "ann")
    await world.leave(room, "ann")
    with pytest.raises(NotFound):
        await world.desk.scheduled.kick(OURS, room.id, "ann")


async def test_a_kick_while_the_media_server_is_away_holds_once_it_is_back(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "host", Role.HOST)
    old = await world.join(room, "ann")
    world.server.come_in(old.token)
    await world.reported()
    world.clock.advance(1)
    world.server.away = True
    for _ in range(2):
        with pytest.raises(RoomsUnavailable, match="closed"):
            await world.desk.scheduled.kick(OURS, room.id, "ann")
    assert world.there(room) == {"host", "ann"}
    assert (await world.line(room, "ann")).why_left == "kicked"
    world.server.away = False
    await world.look()
    assert world.there(room) == {"host"} == await world.present(room)
    world.server.come_in(old.token)
    await world.reported()
    assert world.there(room) == {"host"}
    assert world.told.kinds().count("room.participant.kicked") == 1
    assert world.told.kinds().count("room.participant.left") == 1
    world.server.come_in((await world.join(room, "ann")).token)
    await world.reported()
    await world.look()
    assert world.there(room) == {"host", "ann"} == await world.present(room)


async def test_who_came_unheard_of_is_kicked_though_the_media_server_is_away(world: World) -> None:
    room = await world.schedule()
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    late = world.server.take()
    world.clock.advance(1)
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.kick(OURS, room.id, "ann")
    world.server.away = False
    await world.reported(late)
    assert world.there(room) == set() == await world.present(room)
    assert (await world.room(room)).status is Status.SCHEDULED


async def test_a_denial_while_the_media_server_is_away_holds_and_a_mute_changes_nothing(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    world.clock.advance(1)
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.mute(OURS, room.id, "ann", "audio")
    assert not (await world.line(room, "ann")).muted
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.deny(OURS, room.id, "ann")
    world.server.away = False
    await world.look()
    assert world.there(room) == set()
    assert (await world.line(room, "ann")).why_left == "denied"


async def test_a_telephone_that_only_rings_is_kicked_by_its_call(world: World) -> None:
    room = await world.schedule()
    world.phones.outside.add((room.id, "phone_1"))
    await world.desk.scheduled.kick(OURS, room.id, "phone_1")
    assert world.phones.orders == [("put_out", room.id, "phone_1")]


# ---------------------------------------------------------------- mute


async def test_who_is_muted_may_unmute(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    world.server.publish(room.live_name, "ann", "audio", "microphone")
    world.server.publish(room.live_name, "ann", "video", "camera")
    await world.desk.scheduled.mute(OURS, room.id, "ann", "audio")
    muted = {
        track.kind: track.muted for one in await world.server.people(room.live_name) for track in one.tracks
    }
    assert muted == {"audio": True, "video": False}
    assert (await world.line(room, "ann")).muted
    world.server.unmute(room.live_name, "ann")
    await world.look()
    assert not (await world.line(room, "ann")).muted
    with pytest.raises(NotFound):
        await world.desk.scheduled.mute(OURS, room.id, "bob", "audio")


# ---------------------------------------------------------------- the lobby


async def test_a_guest_waits_until_let_in(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    passed = await world.join(room, "ann")
    assert passed.waiting
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.WAITING
    assert (await world.room(room)).status is Status.SCHEDULED
    with pytest.raises(PermissionError):
        world.server.publish(room.live_name, "ann", "audio", "microphone")
    assert not world.server.hears(room.live_name, "ann")
    host = await world.join(room, "host", Role.HOST)
    assert not host.waiting
    world.clock.advance(20)
    world.server.come_in(host.token)
    await world.reported()
    world.clock.advance(20)
    line = await world.desk.scheduled.admit(OURS, room.id, "ann")
    assert (line.presence, line.joined_at) == (Presence.JOINED, world.clock.wall())
    world.server.publish(room.live_name, "ann", "audio", "microphone")
    assert world.server.hears(room.live_name, "ann")
    await world.look()
    assert (await world.line(room, "ann")).presence is Presence.JOINED
    assert (await world.room(room)).started_at == T0 + timedelta(seconds=20)
    about_ann = [kind for kind, _, told in world.told.events if told.get("identity") == "ann"]
    assert about_ann == [f"room.participant.{what}" for what in ("waiting", "admitted", "joined")]
    with pytest.raises(NotFound):
        await world.desk.scheduled.admit(OURS, room.id, "ann")


async def test_who_was_let_in_comes_back_without_waiting(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    await world.come(room, "host", Role.HOST)
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    await world.desk.scheduled.admit(OURS, room.id, "ann")
    world.clock.advance(5)
    world.server.leave(room.live_name, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.JOINED
    assert world.server.hears(room.live_name, "ann")
    world.clock.advance(5)
    world.server.come_in(passed.token)
    await world.reported()
    assert world.server.hears(room.live_name, "ann")
    world.server.come_in((await world.join(room, "ann")).token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.WAITING


async def test_who_is_let_in_while_the_media_server_is_away_is_let_in_by_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.schedule(waiting_room=True)
    await world.come(room, "ann")

    async def away(*_: object, **__: object) -> bool:
        raise RoomsUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(FakeRoomServer, "update", away)
        with pytest.raises(RoomsUnavailable):
            await world.desk.scheduled.admit(OURS, room.id, "ann")
    assert not world.server.hears(room.live_name, "ann")
    await world.look()
    assert world.server.hears(room.live_name, "ann")


async def test_who_is_sent_away_waits_again_only_with_a_fresh_pass(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    passed = await world.join(room, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    world.clock.advance(1)
    await world.desk.scheduled.deny(OURS, room.id, "ann")
    world.server.come_in(passed.token)
    await world.reported()
    assert world.there(room) == set()
    assert (await world.line(room, "ann")).why_left == "denied"
    await world.come(room, "ann")
    assert (await world.line(room, "ann")).presence is Presence.WAITING
    await world.desk.scheduled.kick(OURS, room.id, "ann")
    assert (await world.line(room, "ann")).why_left == "kicked"
    with pytest.raises(NotFound):
        await world.desk.scheduled.deny(OURS, room.id, "ann")


async def test_a_guest_who_gave_up_waiting_is_not_let_in(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    await world.come(room, "ann")
    world.server.leave(room.live_name, "ann")
    with pytest.raises(NotFound):
        await world.desk.scheduled.admit(OURS, room.id, "ann")
    assert (await world.line(room, "ann")).presence is Presence.LEFT
    assert (await world.room(room)).status is Status.SCHEDULED


async def test_who_waited_when_the_media_server_was_lost_waits_no_more(world: World) -> None:
    room, quiet = await world.schedule(waiting_room=True), await world.schedule(waiting_room=True)
    await world.come(room, "ann")
    await world.come(quiet, "bob")
    world.clock.advance(10)
    world.server.leave(quiet.live_name, "bob")
    world.server.take()
    await world.look()
    assert (await world.line(quiet, "bob")).presence is Presence.LEFT
    world.server.crash()
    await world.look()
    assert (await world.line(room, "ann")).presence is Presence.LEFT
    assert (await world.room(room)).status is Status.SCHEDULED
    await world.come(room, "ann")
    assert (await world.line(room, "ann")).presence is Presence.WAITING


async def test_a_room_that_cannot_be_compared_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await world.schedule(), await world.schedule()
    for room in (first, second):
        await world.come(room, "ann")
    people = FakeRoomServer.people

    async def broken(self: FakeRoomServer, name: str) -> object:
        if name == first.live_name:
            raise ValueError("nonsense")
        return await people(self, name)

    monkeypatch.setattr(FakeRoomServer, "people", broken)
    world.server.leave(second.live_name, "ann")
    world.clock.advance(5)
    await world.look()
    assert await world.present(second) == set()
    assert await world.present(first) == {"ann"}
    assert world.desk.reconciler.tally["broken"] == 1


async def test_telephones_in_the_lobby_are_let_in_by_their_own_desk(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    world.phones.outside.add((room.id, "phone_1"))
    await world.come(room, "phone_2", Role.PHONE)
    assert (await world.line(room, "phone_2")).presence is Presence.JOINED
    line = replace(await world.line(room, "phone_2"), identity="phone_1", presence=Presence.WAITING, sid="")
    await world.people.put(line)
    await world.look()
    assert (await world.line(room, "phone_1")).presence is Presence.WAITING
    await world.desk.scheduled.admit(OURS, room.id, "phone_1")
    await world.desk.scheduled.deny(OURS, room.id, "phone_1")
    assert world.phones.orders[-2:] == [("admit", room.id, "phone_1"), ("deny", room.id, "phone_1")]


# ---------------------------------------------------------------- recording


async def test_a_room_is_recorded_from_its_first_person_on(world: World) -> None:
    room = await world.schedule(recording_enabled=True)
    with pytest.raises(Conflict):
        await world.desk.scheduled.start_recording(OURS, room.id)
    assert world.recorder.rooms == {}
    await world.come(room, "ann")
    assert world.recorder.rooms == {room.id: "EG_1"}
    assert await world.desk.scheduled.start_recording(OURS, room.id) == "EG_1"
    assert world.told.kinds().count("room.recording.started") == 1
    await world.desk.scheduled.stop_recording(OURS, room.id)
    await world.desk.scheduled.stop_recording(OURS, room.id)
    assert world.recorder.stopped == ["EG_1"]
    await world.desk.recordings.recorded(OURS, room.id, "EG_1", url="https://files.example/1")
    assert (await world.room(room)).recording_url == "https://files.example/1"
    assert world.told.last("room.recording.finished")["recording_url"] == "https://files.example/1"
    assert await world.desk.scheduled.start_recording(OURS, room.id) == "EG_2"


async def test_a_recording_that_cannot_be_made_is_told(world: World) -> None:
    world.recorder.away = True
    room = await world.schedule(recording_enabled=True)
    await world.come(room, "ann")
    assert (await world.room(room)).status is Status.LIVE
    assert world.told.last("room.recording.failed")["why"] == "no recorder"
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.start_recording(OURS, room.id)
    await world.desk.recordings.recorded(OURS, room.id, "EG_9", url=None, failed="disk full")
    assert world.told.last("room.recording.failed")["why"] == "disk full"
    assert (await world.room(room)).recording_url is None


async def test_a_recording_that_is_ended_before_it_began_does_not_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, begin = asyncio.Event(), FakeRecorder.start

    async def slowly(self: FakeRecorder, room: Room) -> str:
        await slow.wait()
        return await begin(self, room)

    monkeypatch.setattr(FakeRecorder, "start", slowly)
    room = await world.schedule(recording_enabled=True)
    world.server.come_in((await world.join(room, "ann")).token)
    for delivery in world.server.take():
        await world.desk.hook.heard(delivery.body, delivery.authorization)
    await asyncio.sleep(0)
    await world.desk.scheduled.stop_recording(OURS, room.id)
    slow.set()
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {}
    assert world.recorder.stopped == ["EG_1"]
    assert await world.desk.scheduled.start_recording(OURS, room.id) == "EG_2"


async def test_a_room_that_is_live_when_we_start_is_recorded(world: World) -> None:
    room = await world.schedule(recording_enabled=True)
    await world.come(room, "ann")
    world.recorder.rooms.clear()
    await world.desk.reconciler.resume()
    await world.desk.recordings.settle()
    assert world.recorder.rooms == {room.id: "EG_2"}


# ---------------------------------------------------------------- the plan


async def test_a_plan_changes_and_its_file_says_so(world: World) -> None:
    room = await world.schedule(
        scheduled_at=T0 + HOUR, recurrence=Recurrence("FREQ=DAILY;COUNT=3", "Europe/Berlin")
    )
    scheduled = world.desk.scheduled
    day = timedelta(days=1)
    assert (await scheduled.skip(OURS, room.id, T0 + HOUR + day)).sequence == 1
    moved = await scheduled.move(OURS, room.id, T0 + HOUR + 2 * day, T0 + 3 * day)
    assert (moved.sequence, moved.recurrence.moved) == (2, ((T0 + HOUR + 2 * day, T0 + 3 * day),))
    assert "SEQUENCE:2" in await scheduled.calendar(OURS, room.id)
    with pytest.raises(NotFound):
        await scheduled.skip(OURS, room.id, T0)
    later = await scheduled.change(OURS, room.id, RoomChange(scheduled_at=T0 + 2 * HOUR, duration_minutes=30))
    assert (later.sequence, later.duration_minutes) == (3, 30)
    assert later.recurrence == Recurrence("FREQ=DAILY;COUNT=3", "Europe/Berlin")
    same = await scheduled.change(OURS, room.id, RoomChange())
    assert same.sequence == 3
    with pytest.raises(InvalidInput):
        await scheduled.change(OURS, room.id, RoomChange(recurrence=Recurrence("FREQ=HOURLY", "UTC")))
    await scheduled.end(OURS, room.id)
    with pytest.raises(Conflict):
        await scheduled.move(OURS, room.id, T0 + 2 * HOUR, T0 + 3 * HOUR)


async def test_a_series_is_stopped_and_takes_place_once_more(world: World) -> None:
    series = Recurrence("FREQ=DAILY;COUNT=5", "Europe/Berlin")
    room = await world.schedule(scheduled_at=T0 + HOUR, recurrence=series)
    world.clock.advance(26 * 3600)
    stopped = await world.desk.scheduled.change(OURS, room.id, RoomChange(once=True, name="The last one"))
    assert (stopped.scheduled_at, stopped.recurrence, stopped.sequence) == (T0 + 49 * HOUR, None, 1)
    assert world.told.last("room.scheduled")["why"] == "moved"
    text = await world.desk.scheduled.calendar(OURS, room.id)
    assert "SUMMARY:The last one" in text
    assert "SEQUENCE:1" in text
    assert "RRULE" not in text


async def test_how_many_may_come_changes_while_nobody_is_there(world: World) -> None:
    room = await world.schedule(max_participants=1)
    first = await world.join(room, "ann")
    bob = await world.join(room, "bob")
    bigger = await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=2))
    assert (bigger.max_participants, bigger.sequence) == (2, 1)
    assert world.told.last("room.scheduled")["why"] == "changed"
    assert [one.max_people for one in await world.server.rooms([room.live_name])] == [2]
    for passed in (first, bob):
        world.server.come_in(passed.token)
    with pytest.raises(Conflict):  # of their coming nothing is reported yet
        await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=3))
    await world.reported()
    assert (await world.room(room)).status is Status.LIVE
    await world.leave(room, "ann")
    await world.leave(room, "bob")
    for few in (1, 3):
        with pytest.raises(Conflict):
            await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=few, name="x"))
    kept = await world.room(room)
    assert (kept.max_participants, kept.name, kept.status) == (2, "Onboarding", Status.LIVE)


async def test_how_many_may_come_stays_where_the_media_server_cannot_be_told(world: World) -> None:
    room = await world.schedule()
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.scheduled.change(OURS, room.id, RoomChange(max_participants=3))
    renamed = await world.desk.scheduled.change(OURS, room.id, RoomChange(name="Renamed", waiting_room=True))
    assert (renamed.max_participants, renamed.name, renamed.waiting_room) == (10, "Renamed", True)
    world.server.away = False
    assert (await world.join(room, "ann")).waiting


async def test_a_live_room_that_is_to_be_recorded_is_from_then_on(world: World) -> None:
    room = await world.schedule()
    await world.come(room, "ann")
    for wanted in (True, False):
        await world.desk.scheduled.change(OURS, room.id, RoomChange(recording_enabled=wanted))
        await world.desk.recordings.settle()
        assert world.recorder.rooms == {room.id: "EG_1"}
    assert not (await world.room(room)).recording_enabled


async def test_a_series_needs_a_start(world: World) -> None:
    with pytest.raises(InvalidInput):
        await world.schedule(recurrence=Recurrence("FREQ=DAILY", "UTC"))
    assert world.server._open == {}


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
