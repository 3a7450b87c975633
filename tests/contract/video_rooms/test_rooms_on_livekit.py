"""The services of rooms on a real LiveKit server, with the published client in the place of browsers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from livekit import rtc

from telephony.errors import Conflict, NotFound, RoomsUnavailable
from telephony.ids import TenantId
from tests.contract.video_rooms.meeting import OURS, EarlierClock, Meeting, meeting_at
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.visitors import Visitor, visitor
from video_rooms.core.room import Presence, Role, Status
from video_rooms.core.wishes import AdhocWish, RoomChange

pytestmark = pytest.mark.contract

IN_VAIN = 20
"""How often somebody who was put out tries their old token."""


@pytest.fixture
async def meeting(livekit: LiveKitRig) -> AsyncIterator[Meeting]:
    async with meeting_at(livekit) as opened:
        yield opened


async def out(who: Visitor, within_s: float = 20) -> str:
    async with asyncio.timeout(within_s):
        return await asyncio.shield(who.left)


async def listed(meeting: Meeting, live_name: str, who: list[str]) -> None:
    """The media server shows who came in a little later than they are in, and who was put out a little
    longer."""
    await meeting.rig.until_people(
        live_name, lambda people: sorted(one.identity for one in people if one.state < 3) == who
    )


async def test_a_meeting_from_its_plan_to_its_end(meeting: Meeting) -> None:
    room = await meeting.schedule(recording_enabled=True)
    assert room.room_sid is not None
    assert room.room_sid.startswith("RM_")
    host_pass = await meeting.join(room, "ann", Role.HOST)
    guest_pass = await meeting.guest(room, "Bob")
    async with (
        visitor(host_pass.url, host_pass.token) as ann,
        visitor(guest_pass.url, guest_pass.token) as bob,
    ):
        await meeting.is_(room, Status.LIVE)
        await meeting.stands(room, "ann", Presence.JOINED)
        line = await meeting.stands(room, guest_pass.identity, Presence.JOINED)
        assert (line.display_name, line.role) == ("Bob", Role.PARTICIPANT)
        await bob.speak(440)
        await ann.hears(guest_pass.identity, 440)
        assert meeting.recorder.rooms == {room.id: "EG_1"}
        await meeting.desk.scheduled.mute(OURS, room.id, guest_pass.identity, "audio")
        mine = bob.room.local_participant.track_publications
        await bob.until(lambda: any(track.muted for track in mine.values()), what="told of the mute")
        bob.mute(False)
        ann.forget()
        await ann.hears(guest_pass.identity, 440)
        ended = await meeting.desk.scheduled.end(OURS, room.id)
        assert ended.status is Status.ENDED
        assert await out(ann) == await out(bob) == "ROOM_DELETED"
    assert meeting.recorder.stopped == ["EG_1"]
    with pytest.raises(NotFound):
        await meeting.join(room, "ann")
    with pytest.raises(rtc.ConnectError):
        async with visitor(host_pass.url, host_pass.token, within_s=2):
            pass
    people = (await meeting.desk.scheduled.detail(OURS, room.id)).people
    assert {(one.presence, one.why_left) for one in people} == {(Presence.LEFT, "room_ended")}
    kinds = meeting.told.kinds()
    assert [kinds.count(f"room.{what}") for what in ("started", "ended", "participant.joined")] == [1, 1, 2]


async def test_all_gone_is_the_end_and_nobody_had_to_say_so(meeting: Meeting) -> None:
    room = await meeting.schedule()
    passed = await meeting.join(room, "ann")
    async with visitor(passed.url, passed.token):
        await meeting.stands(room, "ann", Presence.JOINED)
    await meeting.stands(room, "ann", Presence.LEFT)
    ended = await meeting.is_(room, Status.ENDED)
    assert ended.ended_at is not None
    assert ended.started_at is not None
    assert ended.ended_at >= ended.started_at
    assert meeting.told.last("room.ended")["why"] == "empty"


async def test_a_kick_holds_however_often_the_old_token_is_tried(meeting: Meeting) -> None:
    room = await meeting.schedule()
    host, old = await meeting.join(room, "ann", Role.HOST), await meeting.join(room, "bob")
    async with visitor(host.url, host.token) as ann:
        async with visitor(old.url, old.token) as bob:
            await ann.sees("bob")
            await meeting.stands(room, "bob", Presence.JOINED)
            await meeting.desk.scheduled.kick(OURS, room.id, "bob")
            assert await out(bob) == "PARTICIPANT_REMOVED"
        entered = 0
        for _ in range(IN_VAIN):
            with suppress(rtc.ConnectError):  # put out before the connection stood
                async with visitor(old.url, old.token) as bob:
                    entered += 1
                    assert await out(bob) == "PARTICIPANT_REMOVED"
        assert entered, "it is no good at the door, but behind it"
        line = await meeting.line(room, "bob")
        assert line is not None
        assert (line.presence, line.why_left) == (Presence.LEFT, "kicked")
        assert meeting.told.kinds().count("room.participant.joined") == 2
        fresh = await meeting.join(room, "bob")
        async with visitor(fresh.url, fresh.token) as bob:
            await meeting.stands(room, "bob", Presence.JOINED)
            await ann.sees("bob")
            await meeting.desk.reconciler.once()
            assert not bob.left.done()


async def test_a_kick_while_livekit_does_not_answer_holds_once_it_does(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await meeting.schedule()
    old = await meeting.join(room, "bob")

    async def away(*_: object) -> None:
        raise RoomsUnavailable

    async with visitor(old.url, old.token) as bob:
        await meeting.stands(room, "bob", Presence.JOINED)
        with monkeypatch.context() as patched:
            patched.setattr(meeting.server, "_ask", away)
            with pytest.raises(RoomsUnavailable):
                await meeting.desk.scheduled.kick(OURS, room.id, "bob")
        await meeting.desk.reconciler.once()
        assert await out(bob) == "PARTICIPANT_REMOVED"
    fresh = await meeting.join(room, "bob")
    async with visitor(fresh.url, fresh.token):
        await meeting.stands(room, "bob", Presence.JOINED)


async def test_another_capacity_is_the_real_rooms_too_and_tokens_stay_good(meeting: Meeting) -> None:
    room = await meeting.schedule(max_participants=1)
    ann, bob = await meeting.join(room, "ann"), await meeting.join(room, "bob")
    change = meeting.desk.scheduled.change
    bigger = await change(OURS, room.id, RoomChange(max_participants=2))
    assert bigger.room_sid != room.room_sid
    async with visitor(ann.url, ann.token), visitor(bob.url, bob.token):
        await listed(meeting, room.live_name, ["ann", "bob"])
        with pytest.raises(Conflict):
            await change(OURS, room.id, RoomChange(max_participants=3))
        assert [one.max_people for one in await meeting.server.rooms([room.live_name])] == [2]
    kept = await meeting.rooms.get(OURS, room.id)
    assert kept is not None
    assert kept.max_participants == 2


async def test_a_host_who_was_put_out_has_no_power_over_others(meeting: Meeting) -> None:
    room = await meeting.schedule()
    host, guest = await meeting.join(room, "ann", Role.HOST), await meeting.guest(room, "Bob")
    async with visitor(guest.url, guest.token):
        async with visitor(host.url, host.token) as ann:
            await meeting.stands(room, "ann", Presence.JOINED)
            await meeting.desk.scheduled.kick(OURS, room.id, "ann")
            await out(ann)
        address = meeting.rig.address
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {host.token}"}) as session:
            for verb in ("RemoveParticipant", "UpdateParticipant", "GetParticipant"):
                url = f"http{address.url.removeprefix('ws')}/twirp/livekit.RoomService/{verb}"
                asked = {"room": room.live_name, "identity": guest.identity}
                async with session.post(url, json=asked) as answer:
                    assert answer.status == 401, verb
        await listed(meeting, room.live_name, [guest.identity])


async def test_a_kick_holds_where_no_report_comes(livekit: LiveKitRig) -> None:
    meeting = Meeting(livekit)
    try:
        room = await meeting.schedule()
        old = await meeting.join(room, "bob")
        async with visitor(old.url, old.token) as bob:
            await listed(meeting, room.live_name, ["bob"])
            await meeting.desk.reconciler.once()
            await meeting.desk.scheduled.kick(OURS, room.id, "bob")
            await out(bob)
        async with visitor(old.url, old.token) as bob:
            await listed(meeting, room.live_name, ["bob"])
            await meeting.desk.reconciler.look_at(meeting.desk.watched.names())
            assert await out(bob) == "PARTICIPANT_REMOVED"
    finally:
        await meeting.server.close()


async def test_a_guest_waits_deaf_and_dumb_until_let_in(meeting: Meeting) -> None:
    room = await meeting.schedule(waiting_room=True)
    host, waiting = await meeting.join(room, "ann", Role.HOST), await meeting.guest(room, "Bob")
    who = waiting.identity
    async with visitor(host.url, host.token) as ann, visitor(waiting.url, waiting.token) as bob:
        await meeting.stands(room, who, Presence.WAITING)
        await ann.speak(440)
        assert not bob.room.local_participant.permissions.can_publish
        assert not bob.room.local_participant.permissions.can_subscribe
        await meeting.desk.scheduled.admit(OURS, room.id, who)
        await bob.until(lambda: bob.room.local_participant.permissions.can_publish, what="let in")
        await bob.hears("ann", 440)
        await bob.speak(880)
        await ann.hears(who, 880)
        await meeting.desk.reconciler.once()
        line = await meeting.line(room, who)
        assert line is not None
        assert line.presence is Presence.JOINED
    async with visitor(waiting.url, waiting.token) as bob:
        await bob.until(lambda: bob.room.local_participant.permissions.can_publish, what="let in again")


async def test_a_full_room_and_an_old_pass_let_nobody_in(meeting: Meeting) -> None:
    room = await meeting.schedule(max_participants=1)
    first, second = await meeting.join(room, "ann"), await meeting.join(room, "bob")
    earlier = EarlierClock(timedelta(minutes=10))
    late = Meeting(meeting.rig, earlier, meeting.rooms, meeting.people)
    expired = await late.join(room, "carl", ttl_s=60)
    await late.server.close()
    with pytest.raises(rtc.ConnectError):
        async with visitor(expired.url, expired.token, within_s=2):
            pass
    async with visitor(first.url, first.token):
        await meeting.stands(room, "ann", Presence.JOINED)
        assert not await meeting.desk.scheduled.has_space(room)
        with pytest.raises(rtc.ConnectError):
            async with visitor(second.url, second.token, within_s=2):
                pass


async def test_passing_rooms_of_tenants_stand_beside_one_another(meeting: Meeting) -> None:
    theirs, name = TenantId("ten_theirs"), meeting.rig.name("sync")
    adhoc = meeting.desk.adhoc
    made, host = await adhoc.create(OURS, AdhocWish(name, 2, {"a": 1}, "key_1"))
    await adhoc.create(theirs, AdhocWish(name, None, None, "key_2"))
    async with visitor(host.url, host.token):
        await listed(meeting, made.room.name, ["key_1"])
        found = await adhoc.one(OURS, name)
        assert ([one.identity for one in found.people], found.room.people) == (["key_1"], 1)
        assert found.room.metadata == '{"a": 1}'
        assert (await adhoc.one(theirs, name)).people == ()
        await adhoc.delete(theirs, name)
        assert (await adhoc.page(OURS, cursor=name, limit=1)).rooms[0].display_name == name
        await adhoc.delete(OURS, name)
    with pytest.raises(NotFound):
        await adhoc.one(OURS, name)


async def test_a_media_server_that_dies_ends_what_was_live_once_it_is_back(tmp_path: Path) -> None:
    # away until we say so
    async with running_livekit(tmp_path, restart=False) as rig, meeting_at(rig, departure_s=60) as meeting:
        room = await meeting.schedule()
        passed = await meeting.join(room, "ann")
        async with visitor(passed.url, passed.token):  # and gone before the end: her client would wait for it
            await meeting.stands(room, "ann", Presence.JOINED)
        await meeting.is_(room, Status.LIVE)
        rig.server.kill()
        await rig.server.child.until(lambda child: child.phase == "stopped", 20)
        with pytest.raises(RoomsUnavailable):
            await meeting.desk.reconciler.once()
        known = await meeting.rooms.get(OURS, room.id)
        assert known is not None
        assert known.status is Status.LIVE, "while it is away nothing is concluded"
        await rig.server.stop()
        await rig.server.start()

        async def over() -> bool | None:
            await meeting.desk.reconciler.once()
            known = await meeting.rooms.get(OURS, room.id)
            return True if known is not None and known.status is Status.ENDED else None

        await meeting.until(over, "an end")
        assert meeting.told.last("room.ended")["why"] == "media_server_lost_it"
