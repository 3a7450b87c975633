"""Who is put out stays out, and who is muted may unmute: over both stores, the media server there or away."""

from __future__ import annotations

import pytest

from telephony.errors import NotFound, RoomsUnavailable
from tests.rig.room_desk import OURS, World
from video_rooms.core.room import Role, Status

pytestmark = pytest.mark.contract

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
