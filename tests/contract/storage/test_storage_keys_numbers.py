"""Tenants, keys and numbers in every database: nobody sees or takes what is another tenant's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.storage.cursors import Cursors
from gateway.storage.database import Database
from gateway.storage.errors import BrokenConstraint, Duplicate
from gateway.storage.keys import KeyRepository, TenantRepository
from gateway.storage.numbers import NumberRepository
from gateway.storage.records import ApiKey, KeyMode, KeyRole, OwnedNumber, Tenant
from telephony.errors import Conflict, MalformedRequest
from telephony.ids import TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.contract

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)
OURS, THEIRS = TenantId("tnt_ours"), TenantId("tnt_theirs")


@pytest.fixture
async def tenants(database: Database) -> TenantRepository:
    repository = TenantRepository(database)
    await repository.create(Tenant(OURS, "Ours", NOW, {"daily_minutes": 60}))
    await repository.create(Tenant(THEIRS, "Theirs", NOW + timedelta(seconds=1)))
    return repository


@pytest.fixture
def keys(tenants: TenantRepository, database: Database, cursors: Cursors) -> KeyRepository:
    return KeyRepository(database, cursors)


@pytest.fixture
def numbers(tenants: TenantRepository, database: Database, cursors: Cursors) -> NumberRepository:
    return NumberRepository(database, cursors)


def key(n: int, **changes: object) -> ApiKey:
    made = ApiKey(
        id=f"key_{n}",
        tenant=OURS,
        name=f"Key {n}",
        role=KeyRole.DEVELOPER,
        hash=f"{n:064x}",
        last4="wxyz",
        prefix="dv_live_sk_",
        mode=KeyMode.LIVE,
        created_at=NOW + timedelta(seconds=n),
        scopes=("calls:write",),
        allowed_ips=("192.0.2.0/24",),
        expires_at=NOW + timedelta(days=30),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def number(n: int, **changes: object) -> OwnedNumber:
    made = OwnedNumber(
        id=f"num_{n}",
        tenant=OURS,
        number=E164(f"+1415555{n:04d}"),
        created_at=NOW + timedelta(seconds=n),
        capabilities=("voice", "sms"),
        route={"kind": "phone", "name": "desk"},
        friendly_name="Front desk",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_tenants_read_back_oldest_first(tenants: TenantRepository) -> None:
    assert await tenants.get(OURS) == Tenant(OURS, "Ours", NOW, {"daily_minutes": 60})
    assert await tenants.get(TenantId("tnt_nobody")) is None
    assert [tenant.id for tenant in await tenants.all()] == [OURS, THEIRS]
    with pytest.raises(Duplicate):
        await tenants.create(Tenant(OURS, "Again", NOW))


async def test_a_key_is_found_by_its_hash_and_by_its_tenant(keys: KeyRepository) -> None:
    await keys.create(key(1))
    assert await keys.find_by_hash(key(1).hash) == key(1)
    assert await keys.find_by_hash("0" * 64) is None
    assert await keys.get(OURS, "key_1") == key(1)
    assert await keys.get(THEIRS, "key_1") is None


async def test_a_hash_is_used_once_and_a_key_has_a_tenant(keys: KeyRepository) -> None:
    await keys.create(key(1))
    with pytest.raises(Duplicate):
        await keys.create(key(2, hash=key(1).hash))
    with pytest.raises(BrokenConstraint):
        await keys.create(key(3, tenant=TenantId("tnt_nobody")))


async def test_a_revoked_key_stays_known_and_opens_nothing(keys: KeyRepository) -> None:
    await keys.create(key(1))
    at = NOW + timedelta(hours=1)
    assert await keys.revoke(THEIRS, "key_1", at) is None
    assert await keys.revoke(OURS, "key_1", at) == key(1, revoked_at=at)
    assert await keys.revoke(OURS, "key_1", at + timedelta(hours=1)) == key(1, revoked_at=at)
    found = await keys.find_by_hash(key(1).hash)
    assert found is not None
    assert not found.valid_at(at)


async def test_a_key_gains_scopes_and_keeps_those_it_has(keys: KeyRepository) -> None:
    await keys.create(key(1, scopes=("calls:read", "agents:read")))
    wider = key(1, scopes=("calls:read", "agents:read", "agents:write"))
    assert await keys.grant(THEIRS, "key_1", ["agents:write"]) is None
    assert await keys.grant(OURS, "key_nobody", ["agents:write"]) is None
    assert await keys.grant(OURS, "key_1", ["agents:read", "agents:write"]) == wider
    assert await keys.grant(OURS, "key_1", ["agents:write"]) == wider
    assert await keys.grant(OURS, "key_1", []) == wider
    assert await keys.find_by_hash(key(1).hash) == wider


async def test_a_key_that_is_revoked_gains_nothing(keys: KeyRepository) -> None:
    await keys.create(key(1, scopes=("calls:read",)))
    at = NOW + timedelta(hours=1)
    await keys.revoke(OURS, "key_1", at)
    with pytest.raises(Conflict):
        await keys.grant(OURS, "key_1", ["agents:write"])
    assert await keys.get(OURS, "key_1") == key(1, scopes=("calls:read",), revoked_at=at)


async def test_the_last_use_only_moves_forward(keys: KeyRepository) -> None:
    await keys.create(key(1))
    for seconds in (10, 30, 20):
        await keys.touch("key_1", NOW + timedelta(seconds=seconds))
    assert await keys.get(OURS, "key_1") == key(1, last_used_at=NOW + timedelta(seconds=30))


async def test_keys_are_listed_newest_first_by_tenant(keys: KeyRepository) -> None:
    for n in range(1, 6):
        await keys.create(key(n))
    await keys.create(key(9, tenant=THEIRS))
    first = await keys.page(OURS, limit=3)
    second = await keys.page(OURS, limit=3, cursor=first.cursor)
    assert [one.id for one in (*first.items, *second.items)] == ["key_5", "key_4", "key_3", "key_2", "key_1"]
    assert (first.total, first.has_more, second.total, second.has_more) == (5, True, 5, False)


async def test_a_number_has_one_owner_at_a_time(numbers: NumberRepository) -> None:
    await numbers.add(number(1))
    theirs = number(2, tenant=THEIRS, number=number(1).number)
    with pytest.raises(Duplicate):
        await numbers.add(theirs)
    removed = await numbers.remove(OURS, "num_1", NOW + timedelta(days=1))
    assert removed == number(1, removed_at=NOW + timedelta(days=1))
    await numbers.add(theirs)
    assert await numbers.find_by_e164(theirs.number) == theirs
    assert await numbers.find_owned(OURS, theirs.number) is None
    assert await numbers.find_owned(THEIRS, theirs.number) == theirs


async def test_of_two_who_add_a_number_at_once_one_wins(numbers: NumberRepository) -> None:
    offers = [numbers.add(number(n, number=E164("+14155550000"))) for n in range(8)]
    outcomes = await asyncio.gather(*offers, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Duplicate"] * 7 + ["NoneType"]


async def test_a_removed_number_is_not_there(numbers: NumberRepository) -> None:
    await numbers.add(number(1))
    await numbers.add(number(2))
    assert await numbers.remove(THEIRS, "num_1", NOW) is None
    assert await numbers.remove(OURS, "num_1", NOW) is not None
    assert await numbers.remove(OURS, "num_1", NOW) is None
    assert await numbers.get(OURS, "num_1") is None
    assert await numbers.change(OURS, "num_1", lambda known: known) is None
    assert await numbers.all_active() == (number(2),)
    page = await numbers.page(OURS, limit=10)
    assert (page.items, page.total) == ((number(2),), 1)


async def test_a_change_keeps_what_it_does_not_touch(numbers: NumberRepository) -> None:
    await numbers.add(number(1))
    changed = await numbers.change(
        OURS, "num_1", lambda known: replace(known, friendly_name="Sales", route=None)
    )
    assert changed == number(1, friendly_name="Sales", route=None)
    assert await numbers.get(OURS, "num_1") == changed
    assert await numbers.change(THEIRS, "num_1", lambda known: replace(known, friendly_name="x")) is None
    assert await numbers.get(OURS, "num_1") == changed


async def test_numbers_never_show_in_a_repr(numbers: NumberRepository) -> None:
    await numbers.add(number(1))
    found = await numbers.get(OURS, "num_1")
    assert "4155550001" not in repr(found)


async def test_numbers_are_listed_by_tenant_and_their_cursor_fits_no_other_list(
    numbers: NumberRepository, keys: KeyRepository
) -> None:
    for n in range(3):
        await numbers.add(number(n))
        await keys.create(key(n))
    page = await numbers.page(OURS, limit=2)
    assert [one.id for one in page.items] == ["num_2", "num_1"]
    for elsewhere in (
        keys.page(OURS, limit=2, cursor=page.cursor),
        numbers.page(THEIRS, limit=2, cursor=page.cursor),
    ):
        with pytest.raises(MalformedRequest):
            await elsewhere
