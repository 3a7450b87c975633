"""Things die while phones ring and people talk: calls go on, and the truth is told exactly once.

For every fault: an answered call goes on unless the switch itself died, every call gets one terminal
event and one CDR, and no channel is left behind.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from tests.rig.chaos import begin, hang_up, no_channels, ready_again, told_once
from tests.rig.product import OWN, Product, running_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest_asyncio.fixture(loop_scope="session")
async def product(tmp_path: Path) -> AsyncIterator[Product]:
    async with running_product(tmp_path / "var") as running:
        yield running


async def kill_gateway(product: Product) -> None:
    """SIGKILL; it is started again by its supervisor."""
    gateway = product.stack.gateway
    assert gateway is not None
    before = gateway.state.restarts
    gateway.kill()
    await gateway.until(lambda state: state.restarts > before and state.phase == "running", 40.0)


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_the_gateway_is_killed_and_takes_the_call_up_again(product: Product, talking: bool) -> None:
    call_id = await begin(product, talking)
    phone = product.carrier.incoming[-1]
    await kill_gateway(product)
    await ready_again(product)
    assert phone.state < CallState.ENDED
    assert (await product.api.call(call_id))["status"] == ("in_progress" if talking else "ringing")
    ended = await hang_up(product, call_id)
    assert ended["status"] == ("completed" if talking else "cancelled")
    await no_channels(product)
    told_once(product, call_id)


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_a_call_that_ended_while_the_gateway_was_dead_is_told_truly(
    product: Product, talking: bool
) -> None:
    call_id = await begin(product, talking)
    phone = product.carrier.incoming[-1]
    gateway = product.stack.gateway
    assert gateway is not None
    await gateway.stop()
    if talking:
        await phone.hang_up()
    else:
        phone.reject(486)
    await phone.reaches(CallState.ENDED)
    await gateway.start()
    call = await product.api.ended(call_id)
    assert call["status"] == ("completed" if talking else "busy")
    told_once(product, call_id)


async def test_a_caller_hears_why_when_the_gateway_is_stopped(product: Product) -> None:
    gateway = product.stack.gateway
    assert gateway is not None
    await gateway.stop()
    caller = product.carrier.call(Dial(OWN, product.sip, "+14155550181"))
    await caller.reaches(CallState.RINGING, within_s=4.0)
    heard = await caller.hears(lambda pcm: len(pcm) > 16_000, 6.0, "why")
    assert heard
    await caller.reaches(CallState.ENDED, within_s=20.0)
    assert caller.ending is not None
    assert caller.ending.status >= 500
    await gateway.start()
    await no_channels(product)


async def test_a_caller_hears_why_when_the_gateway_hangs(product: Product) -> None:
    gateway = product.stack.gateway
    assert gateway is not None
    assert gateway.state.pid is not None
    os.kill(gateway.state.pid, signal.SIGSTOP)
    try:
        caller = product.carrier.call(Dial(OWN, product.sip, "+14155550182"))
        await caller.reaches(CallState.RINGING, within_s=5.0)
        await caller.reaches(CallState.ENDED, within_s=20.0)
    finally:
        os.kill(gateway.state.pid, signal.SIGCONT)
    await ready_again(product)
    await no_channels(product)


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_the_switch_is_killed_and_every_call_says_so(product: Product, talking: bool) -> None:
    call_id = await begin(product, talking)
    switch = product.stack.switch
    assert switch is not None
    switch.kill()
    call = await product.api.ended(call_id, within_s=40.0)
    assert call["status"] == ("completed" if talking else "failed")
    assert call["termination"] == {"result": "server_error", "reason": "switch_restarted"}
    told_once(product, call_id)
    await ready_again(product)
    again = await begin(product, True)
    assert (await hang_up(product, again))["status"] == "completed"


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_redis_is_gone_and_nothing_changes(product: Product, talking: bool) -> None:
    call_id = await begin(product, talking)
    redis = product.stack.redis
    assert redis is not None
    await redis.stop()
    other = await begin(product, True)
    for one in (call_id, other):
        assert (await hang_up(product, one))["status"] in ("completed", "cancelled")
        told_once(product, one)
    await no_channels(product)
