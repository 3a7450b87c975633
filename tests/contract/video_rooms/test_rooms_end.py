"""How rooms end: by their host, by themselves, and where nobody came; over both stores."""

from __future__ import annotations

from datetime import timedelta

import pytest

from telephony.errors import NotFound, RoomsUnavailable
from tests.rig.room_desk import OURS, T0, World
from video_rooms.core.room import Presence, Recurrence, Status
from video_rooms.core.wishes import InviteWish
from video_rooms.fakes import TurnedAway

pytestmark = pytest.mark.contract

HOUR = timedelta(hours=1)


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
