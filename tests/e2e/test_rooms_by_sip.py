"""A SIP service of LiveKit's in the settings of the whole product: LiveKit is told of us, and a telephone
whose way in by SIP fails is in the room all the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

import pytest
import pytest_asyncio
from livekit import api

from gateway.config_rooms import address_variables
from gateway.runtime.ports import free_sip_port, free_udp_range
from gateway.trial.audio import active_seconds, tone
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sipp import Sipp, SippRun
from gateway.trial.sipp_livekit import livekit_sip
from tests.rig.livekit import LiveKitRig, running_livekit
from tests.rig.product import OWN, Product, running_product
from tests.rig.redis_port import redis_on_a_port
from tests.rig.visitors import share_of, visitor
from tests.rig.world import sipp_command

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

T = TypeVar("T")
SERVICE, CALLER, CALLER_HZ = "127.0.0.3", "+14155550103", 400.0
ROOMS = "/api/v1/video/rooms-scheduled"


@dataclass
class House:
    product: Product
    livekit: LiveKitRig
    service: Sipp


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("by-sip")
    async with AsyncExitStack() as exits:
        redis = await exits.enter_async_context(redis_on_a_port(folder / "redis"))
        livekit = await exits.enter_async_context(running_livekit(folder, redis=redis))
        at = (SERVICE, free_sip_port(SERVICE))
        scenario = livekit_sip("patchbay", CALLER.lstrip("+")[3:])
        run = SippRun(scenario, at, free_udp_range(100, SERVICE), echo=True, record_messages=True)
        service = await Sipp.start(sipp_command(), run, folder / "service")
        exits.push_async_callback(service.kill)
        extra = {
            "PATCHBAY_LIVEKIT": "auto",
            "PATCHBAY_ROOM_WORKERS": "1",
            "PATCHBAY_ROOM_SIP_HOST": SERVICE,
            "PATCHBAY_ROOM_SIP_PORT": str(at[1]),
            "PATCHBAY_ROOM_SIP_SWITCH": "127.0.0.1:5060",
            "PATCHBAY_ROOM_SIP_KEEP": "0",
            **address_variables(livekit.address),
        }
        product = await exits.enter_async_context(running_product(folder / "var", extra=extra))
        numbers = await product.api.ok("GET", "/api/v1/numbers")
        path = f"/api/v1/numbers/{numbers[0]['id']}"
        await product.api.ok("PATCH", path, {"route": {"type": "rooms"}, "is_default": True})
        yield House(product, livekit, service)


async def once(
    look: Callable[[], Awaitable[Sequence[T]]], holds: Callable[[Sequence[T]], bool]
) -> Sequence[T]:
    """What LiveKit has, once it is as wanted."""
    async with asyncio.timeout(45):
        while not holds(found := await look()):  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.05)
    return found


async def test_livekit_is_told_of_both_trunks(house: House) -> None:
    sip = house.livekit.control.sip

    async def inbound_trunks() -> Sequence[api.SIPInboundTrunkInfo]:
        return list((await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())).items)

    async def outbound_trunks() -> Sequence[api.SIPOutboundTrunkInfo]:
        return list((await sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())).items)

    # why waited for: the gateway is ready before LiveKit was told
    (inbound,) = await once(inbound_trunks, lambda there: bool(there))
    back = await once(outbound_trunks, lambda there: bool(there))
    assert (inbound.name, inbound.auth_username) == ("patchbay", "patchbay")
    assert [one.address for one in back] == ["127.0.0.1:5060"]


async def test_a_service_that_leads_nowhere_keeps_nobody_out(house: House) -> None:
    """SIPp takes the call and puts nobody into any room: the bridge does."""
    product = house.product
    room = await product.api.ok("POST", ROOMS, {"name": "Weekly"})
    async with visitor(room["ws_url"], room["host_token"]) as host:
        caller = product.carrier.call(Dial(OWN, product.sip, CALLER, audio=tone(CALLER_HZ, 2.0)))
        await caller.reaches(CallState.ANSWERED)
        await caller.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the question")
        caller.stream.press(room["pin"])
        await host.until(lambda: any(one.startswith("sip_") for one in host.others), 40, "the telephone")
        (identity,) = [one for one in host.others if one.startswith("sip_")]
        assert host.others[identity].name == "+1 •••• 0103"
        await host.until(lambda: share_of(host.heard(identity, 0.4), CALLER_HZ) > 0.8, 30, "its tone")
        await caller.hang_up()
        await host.until(lambda: identity not in host.others, what="its leaving")
    seen = house.service.messages()
    sent = re.findall(r"^INVITE sip:rooms-.*?^CSeq: (\d+) INVITE", seen, re.MULTILINE | re.DOTALL)
    assert len(set(sent)) == 2, "once, and once more with the password; either may be sent again"
    assert "5550103" not in seen

    async def rules() -> Sequence[api.SIPDispatchRuleInfo]:
        asked = api.ListSIPDispatchRuleRequest()
        return list((await house.livekit.control.sip.list_dispatch_rule(asked)).items)

    await once(rules, lambda left: not left)  # taken away beside everything else
