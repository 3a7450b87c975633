"""Failures that pass by themselves, in mid-call: one product goes through all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial.sip_call import CallState
from tests.rig.chaos import (
    TALKS,
    both,
    ended_truly,
    hang_up,
    no_channels,
    ready_again,
    the_world_ends,
    told_once,
    unready,
)
from tests.rig.product import OWN, Product, running_product
from tests.rig.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy() -> AsyncIterator[TcpProxy]:
    """The network between gateway and switch; its target is set once the ports are known."""
    relay = TcpProxy(("127.0.0.1", 0))
    await relay.start()
    yield relay
    await relay.cut()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory, proxy: TcpProxy) -> AsyncIterator[Product]:
    folder = tmp_path_factory.mktemp("passing")
    ami = {"PATCHBAY_AMI_PORT": str(proxy.port)}
    async with running_product(folder / "var", overrides=ami, before=proxy.aim) as running:
        yield running


async def test_the_ami_link_is_cut_and_comes_back(product: Product, proxy: TcpProxy) -> None:
    rings, talks = await both(product)
    await proxy.cut()
    await unready(product)
    status, answer = await product.api.ask("POST", "/v1/voice/calls", {"to": TALKS, "from": OWN})
    assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert rings.phone.state < CallState.ENDED
    assert talks.phone.state < CallState.ENDED
    await proxy.heal()
    await ready_again(product)
    assert (await hang_up(product, rings.call_id))["status"] == "cancelled"
    assert (await hang_up(product, talks.call_id))["status"] == "completed"
    await no_channels(product)
    told_once(product, rings.call_id)
    told_once(product, talks.call_id)


async def test_calls_that_ended_during_the_cut_are_told_truly(product: Product, proxy: TcpProxy) -> None:
    rings, talks = await both(product)
    await proxy.cut()
    await the_world_ends(rings, talks)
    await proxy.heal()
    await ended_truly(product, rings, talks)


async def test_the_database_is_locked_for_a_while(product: Product) -> None:
    rings, talks = await both(product)
    rung = len(product.carrier.incoming)
    locker = sqlite3.connect(product.var / "patchbay.db", isolation_level=None, timeout=10)
    locker.execute("BEGIN IMMEDIATE")
    try:
        status, answer = await product.api.ask("POST", "/v1/voice/calls", {"to": TALKS, "from": OWN})
        assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert len(product.carrier.incoming) == rung
        await the_world_ends(rings, talks)
    finally:
        locker.execute("ROLLBACK")
        locker.close()
    await ended_truly(product, rings, talks)
