"""Things die while phones ring and people talk: calls go on, and the truth is told exactly once.

For every fault: an answered call goes on unless the switch itself died, every call gets one terminal
event and one CDR, and no channel is left behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dialplan.ami.client import AmiAddress, AmiLink, LinkDown, LinkSettings, LinkUp
from dialplan.ami.message import Message
from dialplan.ami.wire import AmiAction
from gateway.stack import answers, base_url
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from tests.rig.product import OWN, Json, Product, running_product
from tests.rig.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RINGS, TALKS = "+14155557003", "+14155558000"


@pytest_asyncio.fixture(loop_scope="session")
async def proxy() -> AsyncIterator[TcpProxy]:
    """The network between gateway and switch; its target is set once the ports are known."""
    relay = TcpProxy(("127.0.0.1", 0))
    await relay.start()
    yield relay
    await relay.cut()


@pytest_asyncio.fixture(loop_scope="session")
async def product(tmp_path: Path, proxy: TcpProxy) -> AsyncIterator[Product]:
    ami = {"PATCHBAY_AMI_PORT": str(proxy.port)}
    async with running_product(tmp_path / "var", overrides=ami, before=proxy.aim) as running:
        yield running


async def kill_gateway(product: Product) -> None:
    """SIGKILL; it is started again by its supervisor."""
    gateway = product.stack.gateway
    assert gateway is not None
    before = gateway.state.restarts
    gateway.kill()
    await gateway.until(lambda state: state.restarts > before and state.phase == "running", 40.0)


async def ready_again(product: Product) -> None:
    async with asyncio.timeout(30):
        await answers(f"{base_url(product.stack.settings)}/readyz")


async def no_channels(product: Product) -> None:
    """Within 30 s the switch has no channel left."""
    assert product.stack.switch is not None
    address = product.stack.switch.address
    user, secret = address.users["control"]

    async def up(link: LinkUp) -> None:
        """Nothing to do."""

    def ignore(message: Message | LinkDown) -> None:
        """Nothing to do."""

    link = AmiLink(
        "control",
        AmiAddress(address.ami_host, address.ami_port, user, secret),
        rng=lambda: 0.5,
        on_event=ignore,
        on_up=up,
        on_down=ignore,
        settings=LinkSettings(events="system"),
    )
    await link.start()
    try:
        await link.wait_up(10)
        async with asyncio.timeout(30):
            while True:
                rows = await link.listing(AmiAction("CoreShowChannels"), deadline_s=5)
                if not any(row.name == "CoreShowChannel" for row in rows):
                    return
                await asyncio.sleep(0.2)
    finally:
        await link.stop()


def told_once(product: Product, call_id: str) -> None:
    """One terminal event and one CDR, asked of the database itself."""
    with sqlite3.connect(product.var / "patchbay.db") as database:
        types = [t for (t,) in database.execute("SELECT type FROM call_events WHERE call_id = ?", (call_id,))]
        cdrs = database.execute("SELECT count(*) FROM cdrs WHERE call_id = ?", (call_id,)).fetchone()[0]
        settled = database.execute("SELECT snapshot FROM calls WHERE id = ?", (call_id,)).fetchone()[0]
    final = {"call.completed", "call.failed", "call.busy", "call.no_answer", "call.cancelled"}
    assert sum(t in final for t in types) == 1, types
    assert cdrs == 1
    assert settled is None


async def begin(product: Product, talking: bool) -> str:
    call_id = await product.api.place(TALKS if talking else RINGS)
    await product.api.status(call_id, "in_progress" if talking else "ringing")
    return call_id


async def hang_up(product: Product, call_id: str) -> Json:
    return dict(await product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup"))


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


@pytest.mark.parametrize("talking", [False, True], ids=["ringing", "talking"])
async def test_the_database_is_locked_for_a_while(product: Product, talking: bool) -> None:
    call_id = await begin(product, talking)
    phone = product.carrier.incoming[-1]
    locker = sqlite3.connect(product.var / "patchbay.db", isolation_level=None, timeout=10)
    locker.execute("BEGIN IMMEDIATE")
    try:
        status, answer = await product.api.ask("POST", "/v1/voice/calls", {"to": TALKS, "from": OWN})
        assert (status, answer["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert len(product.carrier.incoming) == 1
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
