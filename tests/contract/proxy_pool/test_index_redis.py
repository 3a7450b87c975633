"""What the index leaves in Redis: no number, one key a call, one tag a key, nothing that stays behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.runtime.ports import free_ports
from proxy_pool.core.packed import State, milliseconds, pack, supersedes, suspended
from proxy_pool.core.session import Entry, Hold
from proxy_pool.ports import IndexAway
from proxy_pool.store_redis import RedisIndex
from proxy_pool.store_redis_line import library, load_library, open_redis
from telephony.errors import UnsafeValue
from tests.contract.proxy_pool.index_rig import (
    NOW,
    SECRET,
    TENANT,
    Books,
    Running,
    Server,
    binding,
    claim,
    door,
    first,
    session,
    until,
)

pytestmark = pytest.mark.contract

KEY = "+15550001111"


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    server = Server(tmp_path_factory.mktemp("ixr"))
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    await server.empty()
    async with open_redis(server.url) as redis:
        yield redis


async def every_verb(index: RedisIndex) -> None:
    """Each verb once, and something to see of each."""
    owner = session()
    assert await index.reserve([claim(1, 2, owner=owner), claim(3, key="phone:alice")], NOW) == [1, 3]
    await index.put([binding(door(1), owner), binding(door(4, "*"), owner)], NOW)
    assert await index.look_up(TENANT, KEY, 1, NOW) is not None
    assert await index.taken(TENANT, KEY, NOW) == {1}
    await index.suspend([door(1)], NOW)
    assert await index.look_up(TENANT, KEY, 1, NOW) is None
    await index.drop([door(4, "*"), door(3, "phone:alice")])
    assert await index.look_up(TENANT, "*", 4, NOW) is None
    assert index.trusted
    assert index.counts.failures == 0


async def test_no_number_and_no_tenant_is_in_redis(server: Server, redis: Redis):
    books = Books()
    books.hold(binding(door(8, "+15550007777")))
    async with Running(server, books) as index:
        await every_verb(index)
        seen = b""
        async for key in redis.scan_iter():
            seen += key + repr(await redis.hgetall(key)).encode()
        assert b"pl:" in seen
        for secret in (KEY, "5550001111", "5550007777", "1415", TENANT, "alice"):
            assert secret.encode() not in seen


async def test_without_the_secret_no_key_can_be_guessed(redis: Redis):
    one, other = RedisIndex(redis, SECRET), RedisIndex(redis, SECRET[::-1])
    assert one.key("1.5", TENANT, KEY) != other.key("1.5", TENANT, KEY)
    assert len(one.key("12.5", TENANT, KEY)) == 28
    with pytest.raises(UnsafeValue):
        RedisIndex(redis, b"short")


async def test_each_key_has_one_hash_tag_that_is_the_participant(server: Server, redis: Redis):
    index = RedisIndex(redis, SECRET)
    keys = [index.key(generation, TENANT, KEY) for generation in ("1.5", "977.6")]
    tags = {key[key.index(b"{") + 1 : key.index(b"}")] for key in keys}
    assert all(key.count(b"{") == key.count(b"}") == 1 for key in keys)
    assert len(tags) == 1


async def test_every_verb_keeps_to_one_key_where_the_server_checks_it(tmp_path: Path):
    """A server in cluster mode refuses a function that touches a slot other than its declared key's."""
    port, bus = free_ports(2)
    server = Server(
        tmp_path / "c",
        *("--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes"),
        *("--cluster-port", str(bus)),
    )
    await server.start()
    try:
        async with Redis.from_url(server.url) as redis:
            await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)

            async def ready() -> bool:
                return "cluster_state:ok" in str(await redis.execute_command("CLUSTER", "INFO"))

            await first(True, ready)
            await load_library(redis, 20)
            with pytest.raises(ResponseError, match="same slot"):
                await redis.eval("#!lua\nreturn redis.call('GET', 'other')", 1, "declared")
        books = Books()
        books.hold(*(binding(door(i, f"+1555{i:07d}")) for i in range(50)))
        async with Running(server, books) as index:
            await every_verb(index)
    finally:
        await server.kill()


async def test_only_what_passes_by_itself_expires_in_redis(server: Server, redis: Redis):
    async with Running(server, Books()) as index:
        generation = index._roll.believed
        assert generation is not None
        key = index.key(generation, TENANT, KEY)
        await index.reserve([claim(1), claim(2)], NOW)
        assert all(50 <= left <= 60 for left in await redis.httl(key, "1", "2"))
        await index.put([binding(door(1))], NOW)
        assert await redis.httl(key, "1") == [-1]
        await index.suspend([door(1)], NOW)
        assert 50 <= (await redis.httl(key, "1"))[0] <= 60
        await index.drop([door(2)])
        assert await redis.hkeys(key) == [b"1"]


async def test_a_lone_field_is_written_afresh(server: Server, redis: Redis):
    async with Running(server, Books()) as index:
        generation = index._roll.believed
        assert generation is not None
        key = index.key(generation, TENANT, KEY)
        await index.reserve([claim(1)], NOW)
        assert await redis.object("ENCODING", key) == b"listpackex"
        await index.put([binding(door(1))], NOW)
        assert await redis.object("ENCODING", key) == b"listpack"


async def test_a_server_without_expiry_of_fields_does_as_well(tmp_path: Path):
    server = Server(tmp_path / "old", "--rename-command", "HEXPIRE", "")
    await server.start()
    try:
        async with Running(server, Books()) as index, Redis.from_url(server.url) as redis:
            with pytest.raises(ResponseError, match="unknown command"):
                await redis.execute_command("HEXPIRE", "key", 1, "FIELDS", 1, "field")
            await every_verb(index)
            assert await index.reserve([claim(7)], NOW) == [7]
            assert await index.reserve([claim(7)], NOW + 59) == [None]
            assert await index.reserve([claim(7)], NOW + 60) == [7]
    finally:
        await server.kill()


def statements() -> list[bytes]:
    """What may stand behind a door or be said of it."""
    owners = [session(900), session(901)]
    settled = [
        pack(Entry(owner, 0, hold, NOW + end, version))
        for owner in owners
        for hold in (Hold.LIVE, Hold.QUARANTINED)
        for end in (-5, 0, 0.001, 90)
        for version in (0, 1, 2, 8_191, 8_192, 16_383)
    ]
    reserved = [pack(Entry(owner, 0, Hold.PENDING, NOW + 60, 0), State.RESERVED) for owner in owners]
    some = random.Random(4).sample(settled, 40)
    return [*settled, *reserved, *(suspended(one, NOW + 60) for one in (None, *some))]


async def test_the_server_judges_late_writes_as_the_core_does(server: Server, redis: Redis):
    async with Running(server, Books()) as index:
        generation = index._roll.believed
        assert generation is not None
        key = index.key(generation, TENANT, KEY)
        all_of_them = statements()
        rng, now_ms = random.Random(11), milliseconds(NOW)
        settled = [one for one in all_of_them if one[23] >> 6 in (State.LIVE, State.QUARANTINED)]
        pairs = [(rng.choice(settled), rng.choice(all_of_them)) for _ in range(6_000)]
        pipeline = redis.pipeline(transaction=False)
        for new, old in pairs:
            pipeline.hset(key, "1", old)
            pipeline.fcall("patchbay_pool_v1_put", 1, key, generation, now_ms, 1, new)
        wrote = [bool(reply) for reply in (await pipeline.execute())[1::2]]
        assert wrote == [supersedes(new, old, now_ms) for new, old in pairs]
        assert 0.1 < sum(wrote) / len(wrote) < 0.9


async def test_the_server_suspends_as_the_core_does(server: Server, redis: Redis):
    async with Running(server, Books()) as index:
        generation = index._roll.believed
        assert generation is not None
        key = index.key(generation, TENANT, KEY)
        for number, stands in enumerate(statements()):
            await redis.hset(key, str(number), stands)
            await index.suspend([door(number)], NOW)
            assert await redis.hget(key, str(number)) == suspended(stands, NOW + 60)
        await index.suspend([door(5_000)], NOW)
        assert await redis.hget(key, "5000") == suspended(None, NOW + 60)


async def test_a_reply_to_another_question_is_no_answer(server: Server, redis: Redis):
    async with Running(server, Books()) as index:
        await index.put([binding(door(1)), binding(door(2))], NOW)
        asked = index._line.ask
        place, generation = index.key(index._believed(), TENANT, KEY), index._believed()
        answers = await asked([("FCALL_RO", "patchbay_pool_v1_look_up", 1, place, generation, 0, 2)])

        async def mixed_up(commands: object) -> list[object]:
            return answers

        index._line.ask = mixed_up  # type: ignore[method-assign,assignment]
        try:
            assert await index.look_up(TENANT, KEY, 1, NOW) is None
            with pytest.raises(IndexAway):
                await index.reserve([claim(5)], NOW)
        finally:
            index._line.ask = asked  # type: ignore[method-assign]
        assert await index.look_up(TENANT, KEY, 1, NOW) is not None


async def test_the_same_library_is_not_loaded_twice(server: Server, redis: Redis):
    books, seen = Books(), asyncio.Event()
    async with Running(server, books) as index:
        await load_library(redis, 20)
        await index.put([binding(door(1))], NOW)
        assert await index.look_up(TENANT, KEY, 1, NOW) is not None
        books.after_page = seen.wait
        await redis.function_load(library(), replace=True)
        assert await index.look_up(TENANT, KEY, 1, NOW) is None
        seen.set()
        await until(lambda: index.counts.rebuilds == 2)


async def test_old_generations_are_cleared_away(server: Server, redis: Redis):
    books = Books()
    books.hold(*(binding(door(i, f"+1555{i:07d}")) for i in range(2_000)))
    async with Running(server, books):
        assert await redis.dbsize() == 2_001
    async with Running(server, books) as index:
        await first(2_001, redis.dbsize)
        generation = index._roll.believed
        assert generation is not None
        prefix = b"pl:" + generation.partition(".")[0].encode() + b":"
        kept = [key async for key in redis.scan_iter(count=1000)]
        assert sum(key.startswith(prefix) for key in kept) == 2_000


async def test_where_memory_is_full_what_changes_becomes_a_question(server: Server, redis: Redis):
    owner = session()
    async with Running(server, Books()) as index:
        await index.put([binding(door(1), owner), binding(door(2), owner)], NOW)
        await redis.config_set("maxmemory", 1)
        try:
            await index.put([binding(door(1), owner, Hold.QUARANTINED, version=2)], NOW)
            assert await index.look_up(TENANT, KEY, 1, NOW) is None
            assert await index.look_up(TENANT, KEY, 2, NOW) is not None
            await index.suspend([door(2)], NOW)
            assert await index.look_up(TENANT, KEY, 2, NOW) is None
            with pytest.raises(IndexAway):
                await index.reserve([claim(9)], NOW)
            assert index.trusted
        finally:
            await redis.config_set("maxmemory", 0)
