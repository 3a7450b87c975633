"""Things die while phones ring and people talk: calls go on, and the truth is told exactly once.

For every fault: an answered call goes on unless the switch itself died, every call gets one terminal
event and one CDR, and no channel is left behind.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from tests.rig.chaos import (
    begin,
    both,
    ended_truly,
    hang_up,
    no_channels,
    ready_again,
    the_world_ends,
    told_once,
)
from tests.rig.product import OWN, Product, running_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """One for all of these: whatever dies is started again, and works."""
    async with running_product(tmp_path_factory.mktemp("chaos") / "var") as running:
        yield running


async def kill_gateway(product: Product) -> None:
    """SIGKILL; it is started again by its supervisor."""
    gateway = product.stack.gateway
    assert gateway is not None
    before = gateway.state.restarts
    gateway.kill()
    await gateway.until(lambda state: state.restarts > before and state.phase == "running", 150.0)


async def test_the_gateway_is_killed_and_takes_its_calls_up_again(product: Product) -> None:
    rings, talks = await both(product)
    await kill_gateway(product)
    await ready_again(product)
    assert rings.phone.state < CallState.ENDED
    assert talks.phone.state < CallState.ENDED
    assert (await product.api.call(rings.call_id))["status"] == "ringing"
    assert (await product.api.call(talks.call_id))["status"] == "in_progress"
    assert (await hang_up(product, rings.call_id))["status"] == "cancelled"
    assert (await hang_up(product, talks.call_id))["status"] == "completed"
    await no_channels(product)
    told_once(product, rings.call_id)
    told_once(product, talks.call_id)


async def test_calls_that_ended_while_the_gateway_was_dead_are_told_truly(product: Product) -> None:
    rings, talks = await both(product)
    gateway = product.stack.gateway
    assert gateway is not None
    await gateway.stop()
    await the_world_ends(rings, talks)
    await gateway.start()
    await ended_truly(product, rings, talks)


async def test_a_caller_hears_why_when_the_gateway_is_stopped(product: Product) -> None:
    gateway = product.stack.gateway
    assert gateway is not None
    await gateway.stop()
    caller = product.carrier.call(Dial(OWN, product.sip, "+14155550181"))
    await caller.reaches(CallState.RINGING, within_s=15.0)
    heard = await caller.hears(lambda pcm: len(pcm) > 16_000, 15.0, "why")
    assert heard
    await caller.reaches(CallState.ENDED, within_s=40.0)
    assert caller.ending is not None
    assert (caller.ending.status, caller.ending.reason) == (503, "Q.850;cause=42")
    await gateway.start()
    await ready_again(product)
    await no_channels(product)


async def test_a_caller_hears_why_when_the_gateway_hangs(product: Product) -> None:
    gateway = product.stack.gateway
    assert gateway is not None
    assert gateway.state.pid is not None
    os.kill(gateway.state.pid, signal.SIGSTOP)
    try:
        caller = product.carrier.call(Dial(OWN, product.sip, "+14155550182"))
        await caller.reaches(CallState.RINGING, within_s=15.0)
        await caller.reaches(CallState.ENDED, within_s=40.0)
        assert caller.ending is not None
        assert (caller.ending.status, caller.ending.reason) == (503, "Q.850;cause=42")
    finally:
        os.kill(gateway.state.pid, signal.SIGCONT)
    await ready_again(product)
    await no_channels(product)


async def test_redis_is_gone_and_nothing_changes(product: Product) -> None:
    before = await both(product)
    redis = product.stack.redis
    assert redis is not None
    await redis.stop()
    during = await both(product)
    for rings, talks in (before, during):
        assert (await hang_up(product, rings.call_id))["status"] == "cancelled"
        assert (await hang_up(product, talks.call_id))["status"] == "completed"
        told_once(product, rings.call_id)
        told_once(product, talks.call_id)
    await no_channels(product)
    await redis.start()
    await ready_again(product)


async def test_the_switch_is_killed_and_every_call_says_so(product: Product) -> None:
    rings, talks = await both(product)
    switch = product.stack.switch
    assert switch is not None
    switch.kill()
    for one, status in ((rings, "failed"), (talks, "completed")):
        call = await product.api.ended(one.call_id, within_s=90.0)
        assert call["status"] == status
        assert call["termination"] == {"result": "server_error", "reason": "switch_restarted"}
        told_once(product, one.call_id)
    await ready_again(product)
    again = await begin(product, True)
    assert (await hang_up(product, again))["status"] == "completed"
