"""How a key is given, and what becomes of wrong ones."""

from datetime import timedelta

import pytest

from tests.unit.http.asgi import Client
from tests.unit.http.rig import CALLS, TO, Rig

pytestmark = pytest.mark.unit


async def _with(rig: Rig, *headers: tuple[bytes, bytes]):
    return await rig.client.raw("GET", CALLS, headers, [b""])


async def test_both_ways_of_giving_a_key(rig: Rig):
    key = rig.keys["viewer"].encode()
    assert (await _with(rig, (b"x-api-key", key))).status == 200
    assert (await _with(rig, (b"authorization", b"Bearer " + key))).status == 200
    assert (await _with(rig, (b"authorization", b"bearer " + key))).status == 200
    assert (await _with(rig, (b"authorization", b"Bearer " + key), (b"x-api-key", key))).status == 200


async def test_ambiguous_keys_are_refused(rig: Rig):
    one, other = rig.keys["viewer"].encode(), rig.keys["owner"].encode()
    for headers in (
        [(b"x-api-key", one), (b"x-api-key", one)],
        [(b"x-api-key", one), (b"authorization", b"Bearer " + other)],
        [(b"authorization", b"Basic " + one)],
    ):
        answer = await _with(rig, *headers)
        assert (answer.status, answer.code) == (401, "INVALID_API_KEY")


async def test_keys_that_are_no_keys(rig: Rig):
    key = rig.keys["viewer"]
    for wrong in (key[:-1], key + "A", key.swapcase(), key[:-1] + chr(ord(key[-1]) ^ 1), "x", "\xff" * 10):
        answer = await rig.client.having(wrong).get(CALLS) if wrong.isascii() else None
        if answer is not None:
            assert (answer.status, answer.code) == (401, "INVALID_API_KEY"), wrong
    assert (await _with(rig, (b"x-api-key", b"\xff" * 60))).code == "INVALID_API_KEY"


async def test_an_expired_key_says_so(rig: Rig):
    key = await rig.key("viewer", expires_at=rig.clock.wall() + timedelta(minutes=1))
    assert (await rig.client.having(key).get(CALLS)).status == 200
    rig.clock.advance(60)
    answer = await rig.client.having(key).get(CALLS)
    assert (answer.status, answer.code) == (401, "EXPIRED_TOKEN")


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(rig: Rig):
    made = (await rig.client.post("/api/v1/settings/api-keys", {"name": "x", "role": "viewer"})).data
    client = rig.client.having(made["value"])
    assert (await client.get(CALLS)).status == 200
    assert (await rig.client.ask("DELETE", f"/api/v1/settings/api-keys/{made['id']}")).status == 204
    answer = await client.get(CALLS)
    assert (answer.status, answer.code) == (401, "INVALID_API_KEY")


async def test_a_key_revoked_elsewhere_is_noticed_within_seconds(rig: Rig):
    key = await rig.key("viewer")
    client = rig.client.having(key)
    assert (await client.get(CALLS)).status == 200
    page = await rig.face.books.keys.page(rig.face_tenant, limit=1)
    await rig.face.books.keys.revoke(rig.face_tenant, page.items[0].id, rig.clock.wall())
    rig.clock.advance(5)
    assert (await client.get(CALLS)).status == 401


@pytest.mark.parametrize(
    ("address", "status"), [("192.0.2.7", 200), ("198.51.100.9", 200), ("203.0.113.1", 403), ("::1", 403)]
)
async def test_a_key_bound_to_addresses(rig: Rig, address: str, status: int):
    key = await rig.key("viewer", allowed_ips=("192.0.2.0/24", "198.51.100.9/32"))
    answer = await Client(rig.client._app, key, address).get(CALLS)
    assert answer.status == status
    if status == 403:
        assert answer.code == "FORBIDDEN"


async def test_guessing_is_slowed_down_without_hurting_those_with_keys(rig: Rig):
    stranger = rig.client.having("pb_live_sk_guess")
    statuses = {(await stranger.get(CALLS)).status for _ in range(60)}
    assert statuses == {401}
    slowed = await stranger.get(CALLS)
    assert (slowed.status, slowed.code) == (429, "RATE_LIMITED")
    assert int(slowed.headers["retry-after"]) >= 1
    assert (await rig.client.get(CALLS)).status == 200


async def test_use_is_noted_once_a_minute(rig: Rig):
    key = (await rig.client.get("/api/v1/settings/api-keys?limit=100")).data
    owner = next(one for one in key if one["role"] == "owner" and one["mode"] == "live")
    assert owner["last_used_at"] == "2026-03-08T12:00:00.000Z"


async def test_a_database_that_is_away_is_not_a_wrong_key(rig: Rig):
    assert rig.backend is not None
    rig.backend.away = True
    assert (await rig.client.post(CALLS, {"to": TO})).status == 503
