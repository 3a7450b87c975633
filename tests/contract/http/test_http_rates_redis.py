"""The rate windows in a real Redis: as in memory, shared by processes, and kept when Redis is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.http.limits import LocalRates, Rates
from gateway.http.limits_redis import AGAIN_S, RedisRates
from gateway.runtime.redis import EmbeddedRedis
from tests.rig.world import tools

pytestmark = pytest.mark.contract


class Now:
    """Epoch seconds that the test moves."""

    def __init__(self) -> None:
        self.at = 1_772_971_200.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedRedis]:
    redis = EmbeddedRedis(tools(), tmp_path_factory.mktemp("rates") / "redis")
    await redis.start()
    yield redis
    await redis.stop()


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture(params=["memory", "redis"])
async def rates(request: pytest.FixtureRequest, now: Now, server: EmbeddedRedis) -> AsyncIterator[Rates]:
    if request.param == "memory":
        yield LocalRates(now)
        return
    async with Redis.from_url(server.url) as redis:
        await redis.flushdb()
        yield RedisRates(redis, now)


async def test_so_many_and_no_more(rates: Rates, now: Now):
    taken = [await rates.take("k", 5) for _ in range(7)]
    assert [rate.allowed for rate in taken] == [True] * 5 + [False] * 2
    assert [rate.remaining for rate in taken] == [4, 3, 2, 1, 0, 0, 0]
    assert taken[-1].reset_s == 60
    assert (await rates.peek("k", 5)).allowed is False
    assert (await rates.peek("other", 5)).allowed is True


async def test_the_window_moves(rates: Rates, now: Now):
    for _ in range(5):
        await rates.take("k", 5)
    now.at += 60
    assert (await rates.peek("k", 5)).allowed is False
    now.at += 12
    assert (await rates.take("k", 5)).allowed is True
    assert (await rates.take("k", 5)).allowed is False
    now.at += 120
    assert (await rates.peek("k", 5)).remaining == 5


async def test_a_window_may_be_longer_than_a_minute(rates: Rates, now: Now):
    assert [(await rates.take("k", 2, 3600)).allowed for _ in range(3)] == [True, True, False]
    assert (await rates.peek("k", 2)).remaining == 2
    now.at += 1800
    assert (await rates.take("k", 2, 3600)).allowed is False
    now.at += 7200
    assert (await rates.take("k", 2, 3600)).remaining == 1


async def test_looking_counts_nothing(rates: Rates, now: Now):
    for _ in range(20):
        assert (await rates.peek("k", 1)).allowed
    assert (await rates.take("k", 1)).allowed


async def test_two_processes_share_a_limit(now: Now, server: EmbeddedRedis):
    async with Redis.from_url(server.url) as one, Redis.from_url(server.url) as other:
        await one.flushdb()
        first, second = RedisRates(one, now), RedisRates(other, now)
        allowed = [(await rates.take("k", 4)).allowed for rates in (first, second) * 3]
        assert allowed == [True] * 4 + [False] * 2


async def test_without_redis_each_process_counts_on(now: Now, tmp_path: Path):
    async with Redis.from_url(f"unix://{tmp_path}/nobody.sock") as nobody:
        rates = RedisRates(nobody, now)
        assert [(await rates.take("k", 2)).allowed for _ in range(3)] == [True, True, False]
        assert (await rates.peek("k", 2)).allowed is False


async def test_a_redis_that_does_not_answer_keeps_one_request_waiting_and_not_all(now: Now):
    asked: list[float] = []

    class Hanging(Redis):
        async def eval(self, *given: object) -> object:
            asked.append(now.at)
            raise TimeoutError

    rates = RedisRates(Hanging(), now)
    allowed = [(await rates.take("k", 3)).allowed for _ in range(5)]
    assert allowed == [True, True, True, False, False]
    assert len(asked) == 1
    now.at += AGAIN_S
    await rates.take("other", 3)
    assert len(asked) == 2
