"""Invites in every store: who may revoke them, and how often they serve."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from telephony.ids import TenantId
from tests.contract.storage.room_stores import MINUTE, NOW, OURS, THEIRS, Stores, room
from video_rooms.core.room import Invite

pytestmark = pytest.mark.contract


def invite(n: int, **changes: object) -> Invite:
    made = Invite(
        id=f"10000000-0000-4000-8000-{n:012d}",
        room_id=room(1).id,
        tenant=OURS,
        token=f"token_{n}",
        participant_name=None,
        expires_at=NOW + 60 * MINUTE,
        revoked_at=None,
        max_uses=None,
        uses_count=0,
        created_at=NOW + n * MINUTE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_invites_are_listed_newest_first(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.rooms.add(room(2))
    kept = [invite(1, participant_name="Ann"), invite(2, max_uses=3), invite(3, expires_at=NOW)]
    for one in (*kept, invite(4, room_id=room(2).id)):
        await stores.invites.add(one)

    async def listed(tenant: TenantId = OURS, expired_too: bool = True, limit: int = 9) -> tuple[Invite, ...]:
        return await stores.invites.of_room(tenant, room(1).id, expired_too=expired_too, now=NOW, limit=limit)

    assert await listed() == tuple(reversed(kept))
    assert await listed(expired_too=False) == (kept[1], kept[0])
    assert await listed(limit=1) == (kept[2],)
    assert await listed(THEIRS) == ()


async def test_an_invite_is_revoked_by_its_own_tenant_and_room(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.invites.add(invite(1))
    assert not await stores.invites.revoke(THEIRS, room(1).id, invite(1).id, NOW)
    assert not await stores.invites.revoke(OURS, room(2).id, invite(1).id, NOW)
    assert await stores.invites.find("token_1", NOW) == invite(1)
    assert await stores.invites.revoke(OURS, room(1).id, invite(1).id, NOW)
    assert await stores.invites.revoke(OURS, room(1).id, invite(1).id, NOW + MINUTE)
    listed = await stores.invites.of_room(OURS, room(1).id, expired_too=True, now=NOW, limit=1)
    assert listed[0].revoked_at == NOW
    assert await stores.invites.use("token_1", NOW) is None
    assert await stores.invites.find("token_1", NOW) is None


async def test_an_invite_ends_with_its_time(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.invites.add(invite(1))
    assert await stores.invites.use("token_1", NOW + 60 * MINUTE) is None
    used = await stores.invites.use("token_1", NOW + 59 * MINUTE)
    assert used == invite(1, uses_count=1)
    assert await stores.invites.use("nobody's", NOW) is None


async def test_uses_are_counted_one_by_one_however_many_come_at_once(stores: Stores) -> None:
    await stores.rooms.add(room(1))
    await stores.invites.add(invite(1, max_uses=5))
    used = await asyncio.gather(*(stores.invites.use("token_1", NOW) for _ in range(12)))
    counts = sorted(one.uses_count for one in used if one is not None)
    assert counts == [1, 2, 3, 4, 5]
    assert await stores.invites.find("token_1", NOW) is None
    listed = await stores.invites.of_room(OURS, room(1).id, expired_too=False, now=NOW, limit=1)
    assert listed[0].uses_count == 5
