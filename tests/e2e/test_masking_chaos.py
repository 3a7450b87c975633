"""Redis, the gateway, the switch or the database dies while masked people call one another.

Whatever happens: whoever rings is the other one of the session that was dialled, nobody rings for a session
that is over or for a stranger, and every call that was joined is on record exactly once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import aiohttp
import pytest
import pytest_asyncio

from gateway.copied_doors import FAMILY, MADE
from gateway.stack import answers as answers_ok
from gateway.stack import base_url
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from tests.rig.crowd import Crowd, Pair, Way
from tests.rig.links import ami_link, database
from tests.rig.product import Json, Product, running_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(360)]

RESYNCS = "patchbay_masking_copy_resyncs_total "
POOL = tuple(f"+1202555011{digit}" for digit in range(4))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    folder = tmp_path_factory.mktemp("masking-chaos") / "var"
    async with running_product(folder, decide=lambda _: answers()) as running:
        people = Crowd(running)
        await people.numbers(*POOL)
        await made_anew(running)
        yield people


async def kill_gateway(product: Product) -> None:
    """SIGKILL, and nobody starts it again until ``back``."""
    assert product.stack.gateway is not None
    product.stack.gateway.kill()
    await product.stack.gateway.stop()


async def back(product: Product) -> None:
    assert product.stack.gateway is not None
    await product.stack.gateway.start()


async def doors(product: Product) -> set[tuple[str, str]]:
    """(number, caller) of every door in the switch's copy."""
    assert product.stack.switch is not None
    async with ami_link(product.stack.switch.address, "recording") as link:
        keys = await database(link, FAMILY)
    return {(f"+{number}", f"+{who}") for number, _, who in (key.partition("/") for key in keys)}


async def copied(product: Product, live: Sequence[Pair], gone: Sequence[Pair] = ()) -> None:
    """Until the copy has every door of the first and none of the others."""
    wanted = {(way.number, way.caller) for pair in live for way in pair.ways}
    unwanted = {(way.number, way.caller) for pair in gone for way in pair.ways}
    async with asyncio.timeout(60):
        while True:
            seen = await doors(product)
            if wanted <= seen and not unwanted & seen:
                return
            await asyncio.sleep(0.1)


async def on_record(crowd: Crowd, pairs: Sequence[Pair], calls: int) -> None:
    """Until so many calls of these sessions are told: completed; a final event, CDR and interaction each."""
    seen = []
    try:
        async with asyncio.timeout(60):
            while True:
                seen = crowd.told(pairs)
                if len(seen) >= calls and all(finals for _, _, finals, _, _ in seen):
                    break
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{len(seen)} of {calls} calls on record: {seen}") from None
    assert [tuple(one[1:]) for one in seen] == [("completed", 1, 1, 1)] * calls, seen


def all_ways(pairs: Sequence[Pair]) -> list[Way]:
    return [way for pair in pairs for way in pair.ways]


def nobodys(crowd: Crowd, pair: Pair, over: Pair) -> list[Way]:
    """Calls that nobody must hear: a stranger's, somebody's to another's number, and of a session that is
    over."""
    a, b = pair.ways
    return [Way(crowd.stranger(), a.number), Way(crowd.stranger(), b.number), *over.closed_ways]


async def closed_pair(crowd: Crowd) -> Pair:
    pair = await crowd.opens()
    await crowd.close(pair)
    return pair


# ---------------------------------------------------------------- Redis


async def break_redis(product: Product, how: str) -> None:
    redis = product.stack.redis
    assert redis is not None
    assert redis.state.pid is not None
    match how:
        case "killed":
            redis.kill()
        case "hung":
            os.kill(redis.state.pid, signal.SIGSTOP)
        case _:
            await ask_redis(product, b"FLUSHALL\r\n")


async def ask_redis(product: Product, order: bytes) -> None:
    assert product.stack.redis is not None
    reader, writer = await asyncio.open_unix_connection(str(product.stack.redis.socket))
    writer.write(order)
    assert (await reader.readline()).startswith(b"+")
    writer.close()


async def mend_redis(product: Product, how: str) -> None:
    redis = product.stack.redis
    assert redis is not None
    if how == "hung":
        assert redis.state.pid is not None
        os.kill(redis.state.pid, signal.SIGCONT)
    await redis.child.until(lambda state: state.phase == "running", 90)


@pytest.mark.parametrize("how", ["killed", "hung", "emptied"])
async def test_redis_is_lost_while_people_call(crowd: Crowd, how: str) -> None:
    product = crowd.product
    pairs, over = await crowd.open_many(8), await closed_pair(crowd)
    before = len(product.carrier.incoming)
    calls = asyncio.create_task(crowd.call(all_ways(pairs) * 2 + nobodys(crowd, pairs[0], over)))
    await product.carrier.traces(lambda: len(product.carrier.incoming) > before + 4, 30, "the first rings")
    await break_redis(product, how)
    try:
        await calls
        fresh, parted = await crowd.opens(), pairs.pop()
        await crowd.close(parted)
        await crowd.call(all_ways([*pairs, fresh]) + nobodys(crowd, fresh, parted))
    finally:
        await mend_redis(product, how)
    await crowd.call(all_ways([*pairs, fresh]) + nobodys(crowd, fresh, parted))
    await crowd.close(fresh)
    await crowd.call([*all_ways(pairs), *fresh.closed_ways])


# ---------------------------------------------------------------- the gateway


async def test_while_the_gateway_is_dead_calls_connect_and_are_told_afterwards(crowd: Crowd) -> None:
    product = crowd.product
    pairs, over = await crowd.open_many(16), await closed_pair(crowd)
    await copied(product, pairs, [over])
    ends_at = time.time() + 15
    ending = await crowd.opens(expires_at=datetime.fromtimestamp(ends_at).astimezone().isoformat())
    await copied(product, [*pairs, ending], [over])
    await kill_gateway(product)
    assert time.time() < ends_at - 3, "too slow to see the session before its end"
    await crowd.call([*ending.ways])
    await crowd.call(all_ways(pairs) * 2 + nobodys(crowd, pairs[0], over))
    talking = crowd.dials(pairs[0].ways[0])
    await talking.reaches(CallState.ANSWERED, 30)
    await asyncio.sleep(max(0.0, ends_at - time.time()))
    await crowd.call([*ending.closed_ways])
    await back(product)
    await adopted_and_hung_up(product, pairs[0])
    await talking.reaches(CallState.ENDED, 30)
    await on_record(crowd, [*pairs, ending, over], 2 * len(all_ways(pairs)) + 1 + 2)
    assert await noted(product) == {}
    shown = await closed_by_time(crowd, ending)
    assert shown["quarantine_until"] > shown["closed_at"]
    await crowd.call([*all_ways(pairs), *ending.closed_ways])


async def noted(product: Product) -> dict[str, str]:
    assert product.stack.switch is not None
    async with ami_link(product.stack.switch.address, "recording") as link:
        return await database(link, MADE)


async def adopted_and_hung_up(product: Product, pair: Pair) -> None:
    """The call that talks is listed as one of the session, and is ended over the API."""
    async with asyncio.timeout(60):
        while True:
            calls = await product.api.ok("GET", "/v1/voice/calls?status=in_progress")
            mine = [call for call in calls if call["session_id"] == pair.id]
            if mine:
                break
            await asyncio.sleep(0.1)
    assert len(mine) == 1
    ended = await product.api.ok("POST", f"/v1/voice/calls/{mine[0]['id']}/hangup")
    assert ended["status"] == "completed"


async def closed_by_time(crowd: Crowd, pair: Pair) -> Json:
    async with asyncio.timeout(60):
        while True:
            shown = await crowd.shown(pair)
            if shown["status"] == "closed":
                break
            await asyncio.sleep(0.1)
    assert shown["close_reason"] == "expired"
    return shown


async def test_a_session_that_was_promised_as_the_gateway_died_is_kept(crowd: Crowd) -> None:
    """Opened, answered, killed: the copy may not know of it yet. Nobody rings but the right one."""
    product = crowd.product
    opened: list[Pair] = []

    async def open_one() -> None:
        opened.append(await crowd.opens())

    opening = [asyncio.create_task(open_one()) for _ in range(12)]
    async with asyncio.timeout(60):
        while len(opened) < 5:
            await asyncio.wait(opening, return_when=asyncio.FIRST_COMPLETED)
            opening = [one for one in opening if not one.done()]
    await kill_gateway(product)
    await asyncio.gather(*opening, return_exceptions=True)
    before = len(product.carrier.incoming)
    calls = [crowd.dials(way, hang_up_after_ms=50) for way in all_ways(opened)]
    for call in calls:
        await call.reaches(CallState.STARTED)
        await call.until(lambda call=call: call.state is CallState.ENDED, 60, "its end")
    right = {(way.to, way.shown) for way in all_ways(opened)}
    rang = [(one.facts.user, one.facts.from_user) for one in product.carrier.incoming[before:]]
    assert len(set(rang)) == len(rang)
    assert set(rang) <= right
    await back(product)
    assert {(await crowd.shown(pair))["status"] for pair in opened} <= {"open", "in_progress"}
    await crowd.call(all_ways(opened))


# ---------------------------------------------------------------- the switch


async def test_a_switch_that_was_killed_gets_a_true_copy(crowd: Crowd) -> None:
    """It loses what it wrote last: a door that was taken away just before must not stand there again."""
    product = crowd.product
    switch = product.stack.switch
    assert switch is not None
    made = await made_anew(product)
    pairs, meanwhile = await crowd.open_many(4), await crowd.opens()
    just = await crowd.opens()
    await copied(product, [*pairs, meanwhile, just])
    await crowd.close(just)
    await copied(product, pairs, [just])
    before = switch.child.state.restarts
    switch.kill()
    await crowd.close(meanwhile)
    fresh = await crowd.opens()
    await switch.child.until(lambda state: state.restarts > before and state.phase == "running", 120)
    await ready(product)
    await made_anew(product, made)
    last = await crowd.opens()  # its door is written after all others
    await copied(product, [*pairs, fresh, last], [just, meanwhile])
    await crowd.call(all_ways([*pairs, fresh]))
    await kill_gateway(product)
    await crowd.call([*all_ways([*pairs, fresh]), *just.closed_ways, *meanwhile.closed_ways])
    await back(product)
    await on_record(crowd, [*pairs, fresh, just, meanwhile], 20)


async def ready(product: Product) -> None:
    async with asyncio.timeout(60):
        await answers_ok(f"{base_url(product.stack.settings)}/readyz")


async def made_anew(product: Product, before: float = 0.0) -> float:
    """Until this gateway has made the copy anew once more than that; how often it has."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{product.api.root}/metrics") as response:
                lines = (await response.text()).splitlines()
            made = next(float(line.split()[1]) for line in lines if line.startswith(RESYNCS))
            if made > before:
                return made
            await asyncio.sleep(0.1)


# ---------------------------------------------------------------- the database


async def test_while_the_database_is_locked_nobody_is_joined_and_none_is_lost(crowd: Crowd) -> None:
    """A call that cannot be stored is not joined, nor by the copy: the caller hears an apology."""
    product = crowd.product
    pairs = await crowd.open_many(3)
    talking = crowd.dials(pairs[2].ways[0])
    await talking.reaches(CallState.ANSWERED, 30)
    locker = sqlite3.connect(product.var / "patchbay.db", isolation_level=None, timeout=10)
    locker.execute("BEGIN IMMEDIATE")
    try:
        await crowd.call([way for pair in pairs[:2] for way in pair.closed_ways])
        body = {"party_a": crowd.stranger(), "party_b": crowd.stranger()}
        status, answer = await product.api.ask("POST", "/api/v1/proxy/sessions", body)
        assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert talking.state is CallState.ANSWERED
    finally:
        locker.execute("ROLLBACK")
        locker.close()
    await crowd.call(all_ways(pairs[:2]))
    await talking.hang_up(20)
    await on_record(crowd, [pairs[2]], 1)
