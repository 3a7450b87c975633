"""Invites and what they are redeemed for, and rooms that only the media server knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from telephony.errors import InvalidInput, NotFound, RoomsUnavailable
from telephony.ids import TenantId
from tests.rig.room_desk import OURS, T0, THEIRS, World, opened_world
from video_rooms.core.room import Presence, Role
from video_rooms.core.wishes import AdhocWish, InviteWish

pytestmark = pytest.mark.contract

ANY = InviteWish(None, None, None)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["fakes", "sql"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with opened_world(request.param) as opened:
        yield opened


@pytest.fixture
def fake_world() -> World:
    """For what only stores in memory can be made to do."""
    return World()


# ---------------------------------------------------------------- invites


async def test_an_invite_lets_a_guest_in(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, InviteWish("Acme", 2, 5))
    assert (invite.expires_at, invite.max_uses, invite.participant_name) == (T0 + 2 * HOUR, 5, "Acme")
    assert 24 <= len(invite.token) <= 64
    world.chances.hex_words = ["8f2a01b7"]
    passed = await world.desk.invites.redeem(invite.token, "Acme Customer", None)
    assert (passed.identity, passed.display_name, passed.waiting) == (
        "guest_8f2a01b7",
        "Acme Customer",
        False,
    )
    assert passed.expires_at == T0 + HOUR
    grant = world.server.grant_of(passed.token)
    assert (grant.role, grant.room) == (Role.PARTICIPANT, room.live_name)
    listed = await world.desk.invites.page(OURS, room.id, expired_too=False, limit=9)
    assert [one.uses_count for one in listed] == [1]
    told = world.told.last("room.invite.redeemed")
    assert (told["identity"], told["invite_id"]) == ("guest_8f2a01b7", invite.id)
    assert invite.token not in str(world.told.events)


async def test_an_invite_lasts_a_day_where_nothing_is_said(world: World) -> None:
    room = await world.schedule()
    assert (await world.desk.invites.create(OURS, room.id, ANY)).expires_at == T0 + 24 * HOUR


async def test_one_answer_for_every_invite_that_opens_nothing(world: World) -> None:
    room, over = await world.schedule(), await world.schedule()
    invites = world.desk.invites
    used = await invites.create(OURS, room.id, replace(ANY, max_uses=1))
    await invites.redeem(used.token, "Ann", None)
    revoked = await invites.create(OURS, room.id, ANY)
    await invites.revoke(OURS, room.id, revoked.id)
    ended = await invites.create(OURS, over.id, ANY)
    await world.desk.scheduled.end(OURS, over.id)
    expired = await invites.create(OURS, room.id, replace(ANY, expires_in_hours=1))
    world.clock.advance(3600)
    answers = set()
    for token in (used.token, revoked.token, ended.token, expired.token, "x" * 32):
        with pytest.raises(NotFound) as caught:
            await invites.redeem(token, "Ann", None)
        answers.add((caught.value.code, caught.value.message) if token != ended.token else None)
    assert len(answers - {None}) == 1
    listed = await invites.page(OURS, over.id, expired_too=True, limit=9)
    assert [one.uses_count for one in listed] == [0]


async def test_no_more_guests_than_uses_however_many_come_at_once(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, replace(ANY, max_uses=3))
    asked = [world.desk.invites.redeem(invite.token, "Ann", None) for _ in range(8)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    passes = [one for one in found if not isinstance(one, BaseException)]
    assert len(passes) == 3
    assert all(isinstance(one, NotFound) for one in found if isinstance(one, BaseException))
    assert len({one.identity for one in passes}) == 3


async def test_no_use_is_spent_where_the_media_server_is_away(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, replace(ANY, max_uses=1))
    world.server.away = True
    with pytest.raises(RoomsUnavailable):
        await world.desk.invites.redeem(invite.token, "Ann", None)
    world.server.away = False
    assert (await world.desk.invites.redeem(invite.token, "Ann", None)).identity


async def test_two_guests_never_share_an_identity(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, ANY)
    world.chances.hex_words = ["beef", "beef", "cafe"]
    redeemed = [(await world.desk.invites.redeem(invite.token, "Ann", "ann")).identity for _ in range(3)]
    assert redeemed == ["ann", "ann_beef", "ann_cafe"]
    world.chances.hex_words = ["00000001", "00000001", "00000002"]
    minted = [(await world.desk.invites.redeem(invite.token, "Ann", None)).identity for _ in range(2)]
    assert minted == ["guest_00000001", "guest_00000002"]


async def test_a_guest_does_not_take_the_identity_of_somebody_present(fake_world: World) -> None:
    world = fake_world
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, ANY)
    await world.come(room, "user_42", Role.HOST)
    world.people.claims.clear()
    world.chances.hex_words = ["beef"]
    assert (await world.desk.invites.redeem(invite.token, "Ann", "user_42")).identity == "user_42_beef"
    long = "x" * 120
    await world.desk.invites.redeem(invite.token, "Ann", long)
    world.chances.hex_words = ["beef"]
    suffixed = (await world.desk.invites.redeem(invite.token, "Ann", long)).identity
    assert (len(suffixed), suffixed[-5:]) == (120, "_beef")


async def test_a_members_identity_is_theirs_though_a_guest_chose_it_first(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, ANY)
    guest = await world.desk.invites.redeem(invite.token, "Ann", "user_42")
    world.server.come_in(guest.token)
    await world.reported()
    world.clock.advance(1)
    member = await world.join(room, "user_42", Role.HOST)
    world.server.come_in(member.token)
    await world.reported()
    world.server.come_in(guest.token)
    await world.reported()
    assert world.there(room) == set()
    world.server.come_in(member.token)
    await world.reported()
    assert (await world.line(room, "user_42")).role is Role.HOST
    again = await world.join(room, "user_42", Role.HOST, ttl_s=60)
    world.clock.advance(120)
    world.server.come_in(member.token)
    await world.reported()
    assert world.there(room) == {"user_42"}
    assert again.identity == "user_42"
    assert (await world.desk.invites.redeem(invite.token, "Ann", "user_42")).identity != "user_42"


async def test_a_guest_waits_where_the_room_has_a_lobby(world: World) -> None:
    room = await world.schedule(waiting_room=True)
    invite = await world.desk.invites.create(OURS, room.id, ANY)
    passed = await world.desk.invites.redeem(invite.token, "Ann +447700900123", "ann")
    assert passed.waiting
    world.server.come_in(passed.token)
    await world.reported()
    assert (await world.line(room, "ann")).presence is Presence.WAITING
    assert "7700900" not in str(world.told.events)


async def test_a_guest_enters_a_room_that_had_timed_out(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, ANY)
    world.clock.advance(3601)
    world.server.end_idle()
    await world.reported()
    world.server.come_in((await world.desk.invites.redeem(invite.token, "Ann", None)).token)
    await world.reported()
    assert len(await world.present(room)) == 1


async def test_invites_belong_to_their_room_and_tenant(world: World) -> None:
    room = await world.schedule()
    invite = await world.desk.invites.create(OURS, room.id, ANY)
    other = await world.schedule()
    for tenant, room_id in ((THEIRS, room.id), (OURS, other.id)):
        with pytest.raises(NotFound):
            await world.desk.invites.revoke(tenant, room_id, invite.id)
    with pytest.raises(NotFound):
        await world.desk.invites.create(THEIRS, room.id, ANY)
    await world.desk.scheduled.end(OURS, room.id)
    with pytest.raises(NotFound):
        await world.desk.invites.create(OURS, room.id, ANY)
    await world.desk.invites.revoke(OURS, room.id, invite.id)


# ---------------------------------------------------------------- ad-hoc rooms

SYNC = AdhocWish("quick-sync", 8, {"team": "blue"}, "key_1")


async def test_a_passing_room_and_its_hosts_token(world: World) -> None:
    made, token = await world.desk.adhoc.create(OURS, SYNC)
    assert (made.room.name, made.display_name) == ("tenant_ten_ours_quick-sync", "quick-sync")
    assert (made.room.max_people, made.room.metadata) == (8, '{"team": "blue"}')
    assert token.url == world.server.url
    host = world.server.come_in(token.token)
    assert (host.identity, host.attributes["role"]) == ("key_1", "host")
    more = await world.desk.adhoc.token(OURS, "quick-sync", "Jane Doe", '{"a":1}')
    jane = world.server.come_in(more.token)
    assert (jane.identity, jane.name, jane.metadata) == ("Jane Doe", "Jane Doe", '{"a":1}')
    found = await world.desk.adhoc.one(OURS, "tenant_ten_ours_quick-sync")
    assert [one.identity for one in found.people] == ["key_1", "Jane Doe"]
    assert (found.room.people, found.display_name) == (2, "quick-sync")
    await world.reported()
    assert world.told.events == []
    await world.look()


async def test_a_passing_room_that_is_there_is_kept(world: World) -> None:
    first, _ = await world.desk.adhoc.create(OURS, SYNC)
    again, _ = await world.desk.adhoc.create(OURS, replace(SYNC, max_participants=99, metadata=None))
    assert again.room == first.room
    other, _ = await world.desk.adhoc.create(OURS, AdhocWish("open", None, None, "key_1"))
    assert (other.room.max_people, other.room.metadata) == (100, "")


async def test_tenants_passing_rooms_never_meet(world: World) -> None:
    await world.desk.adhoc.create(OURS, SYNC)
    for name in ("quick-sync", "tenant_ten_ours_quick-sync"):
        with pytest.raises(NotFound):
            await world.desk.adhoc.one(THEIRS, name)
        with pytest.raises(NotFound):
            await world.desk.adhoc.token(THEIRS, name, "eve", "")
        await world.desk.adhoc.delete(THEIRS, name)
    made, _ = await world.desk.adhoc.create(THEIRS, replace(SYNC, name="tenant_ten_ours_quick-sync"))
    assert made.room.name == "tenant_ten_theirs_tenant_ten_ours_quick-sync"
    assert (await world.desk.adhoc.page(OURS, cursor=None, limit=9)).total == 1
    assert (await world.desk.adhoc.page(TenantId("ten"), cursor=None, limit=9)).total == 0


async def test_scheduled_rooms_are_no_passing_rooms(world: World) -> None:
    room = await world.schedule()
    assert (await world.desk.adhoc.page(OURS, cursor=None, limit=9)).total == 0
    with pytest.raises(NotFound):
        await world.desk.adhoc.one(OURS, room.live_name)
    await world.desk.adhoc.delete(OURS, room.live_name)
    assert await world.server.rooms([room.live_name])


async def test_passing_rooms_are_paged_by_name(world: World) -> None:
    for name in ("dd", "bb", "aa", "cc", "ee"):
        await world.desk.adhoc.create(OURS, replace(SYNC, name=name))
    await world.desk.adhoc.create(THEIRS, SYNC)
    pages, cursor = [], None
    while True:
        page = await world.desk.adhoc.page(OURS, cursor=cursor, limit=2)
        pages.append([one.display_name for one in page.rooms])
        assert page.total == 5
        if (cursor := page.next_cursor) is None:
            break
    assert pages == [["aa", "bb"], ["cc", "dd"], ["ee"]]
    assert [one.display_name for one in (await world.desk.adhoc.page(OURS, cursor="dd", limit=9)).rooms] == [
        "dd",
        "ee",
    ]
    for cursor in ("", "a b", "a/../b", "x" * 256):
        with pytest.raises(InvalidInput) as caught:
            await world.desk.adhoc.page(OURS, cursor=cursor, limit=2)
        assert caught.value.code == "INVALID_CURSOR"


async def test_a_deleted_passing_room_is_gone(world: World) -> None:
    _, token = await world.desk.adhoc.create(OURS, SYNC)
    world.server.come_in(token.token)
    await world.desk.adhoc.delete(OURS, "quick-sync")
    await world.desk.adhoc.delete(OURS, "quick-sync")
    with pytest.raises(NotFound):
        await world.desk.adhoc.one(OURS, "quick-sync")
    with pytest.raises(NotFound):
        await world.desk.adhoc.token(OURS, "quick-sync", "Jane", "")
