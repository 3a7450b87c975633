"""Failures that pass by themselves, in mid-call: one product goes through all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial.sip_call import CallState
from tests.rig.chaos import TALKS, begin, hang_up, no_channels, ready_again, told_once
from tests.rig.product import OWN, Product, running_product
from tests.rig.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


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


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_the_ami_link_is_cut_and_comes_back(product: Product, proxy: TcpProxy, talking: bool) -> None:
    call_id = await begin(product, talking)
    phone = product.carrier.incoming[-1]
    await proxy.cut()
    status, answer = await product.api.ask("POST", "/v1/voice/calls", {"to": TALKS, "from": OWN})
    assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert phone.state < CallState.ENDED
    await proxy.heal()
    await ready_again(product)
    ended = await hang_up(product, call_id)
    assert ended["status"] == ("completed" if talking else "cancelled")
    await no_channels(product)
    told_once(product, call_id)


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_a_call_that_ended_during_the_cut_is_told_truly(
    product: Product, proxy: TcpProxy, talking: bool
) -> None:
    call_id = await begin(product, talking)
    phone = product.carrier.incoming[-1]
    await proxy.cut()
    if talking:
        await phone.hang_up()
    else:
        phone.reject(486)
    await phone.reaches(CallState.ENDED)
    await proxy.heal()
    call = await product.api.ended(call_id)
    assert call["status"] == ("completed" if talking else "busy")
    told_once(product, call_id)
    await ready_again(product)


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_the_database_is_locked_for_a_while(product: Product, talking: bool) -> None:
    call_id = await begin(product, talking)
    phone, rung = product.carrier.incoming[-1], len(product.carrier.incoming)
    locker = sqlite3.connect(product.var / "patchbay.db", isolation_level=None, timeout=10)
    locker.execute("BEGIN IMMEDIATE")
    try:
        status, answer = await product.api.ask("POST", "/v1/voice/calls", {"to": TALKS, "from": OWN})
        assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert len(product.carrier.incoming) == rung
        if talking:
            await phone.hang_up()
        else:
            phone.reject(486)
        await phone.reaches(CallState.ENDED)
    finally:
        locker.execute("ROLLBACK")
        locker.close()
    call = await product.api.ended(call_id, within_s=30.0)
    assert call["status"] == ("completed" if talking else "busy")
    told_once(product, call_id)
    await no_channels(product)
