"""Several trunks on the whole product: the number chooses, and a full trunk refuses truthfully."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gateway.runtime.ports import free_sip_port
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_wire import StreamWire
from tests.rig.product import OWN, Product, running_product

pytestmark = pytest.mark.switch

PLAN = """
[[trunk]]
name = "carrier"
host = "127.0.0.2"
port = {port}
identify = ["127.0.0.2"]

[[trunk]]
name = "british"
host = "127.0.0.3"
port = {british}
transport = "tcp"
identify = ["127.0.0.3"]
prefixes = ["+44"]
max_channels = 2
"""
LONDON, AMERICA = "+442079460958", "+14155558000"


@dataclass(frozen=True, slots=True)
class House:
    """The product and the far end of its second trunk."""

    product: Product
    british: SipPhone


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    port = free_sip_port("127.0.0.3")
    async with (
        await SipPhone.open(
            "127.0.0.3", port, decide=lambda _: answers(), name="british", wire=StreamWire()
        ) as british,
        running_product(
            tmp_path_factory.mktemp("several"), trunks=lambda first: PLAN.format(port=first, british=port)
        ) as product,
    ):
        yield House(product, british)


async def hang_up_all(house: House, *call_ids: str) -> None:
    for call_id in call_ids:
        await house.product.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
    await house.british.quiet()
    await house.product.carrier.quiet()


async def answered(house: House, to: str, **fields: object) -> str:
    call_id = await house.product.api.place(to, **fields)
    await house.product.api.status(call_id, "in_progress")
    return call_id


async def test_the_number_chooses_the_trunk(house: House) -> None:
    before = len(house.british.incoming), len(house.product.carrier.incoming)
    both = await answered(house, AMERICA, connect_to=LONDON)
    there = await house.british.receives(which=lambda call: len(house.british.incoming) > before[0])
    await there.reaches(CallState.ANSWERED)
    assert house.british.incoming[-1].facts.user == LONDON
    assert house.product.carrier.incoming[-1].facts.user == AMERICA
    await hang_up_all(house, both)
    after = len(house.british.incoming), len(house.product.carrier.incoming)
    assert after == (before[0] + 1, before[1] + 1)


async def test_an_inbound_call_goes_on_over_the_trunk_of_its_number(house: House) -> None:
    await route_to(house, LONDON)
    before = len(house.british.incoming)
    caller = house.product.carrier.call(Dial(OWN, house.product.sip, "+14155550177"))
    await caller.reaches(CallState.ANSWERED)
    assert house.british.incoming[before].facts.user == LONDON
    await caller.hang_up()
    await house.british.quiet()
    await last_call_over(house)


async def test_a_full_trunk_refuses_before_anything_rings_and_takes_calls_again(house: House) -> None:
    held = [await answered(house, LONDON) for _ in range(2)]
    before = len(house.british.incoming)
    asked = {"to": LONDON, "from": OWN}
    status, refused = await house.product.api.ask("POST", "/v1/voice/calls", asked)
    assert (status, refused["error"]["code"]) == (429, "TRUNK_FULL")
    assert refused["error"]["details"] == {"retry_after": 5, "limit": 2, "window": "concurrent"}
    joined = {"to": AMERICA, "from": OWN, "connect_to": LONDON}
    assert (await house.product.api.ask("POST", "/v1/voice/calls", joined))[0] == 429
    assert len(house.british.incoming) == before
    await house.product.api.ok("POST", f"/v1/voice/calls/{held[0]}/hangup")
    held[0] = await answered(house, LONDON)
    await hang_up_all(house, *held)


async def test_a_caller_from_a_full_trunk_and_one_who_leads_to_it_hear_503(house: House) -> None:
    await route_to(house, LONDON)
    held = [await answered(house, LONDON) for _ in range(2)]
    before = len(house.british.incoming)
    for far, display in ((house.british, "from it"), (house.product.carrier, "to it")):
        caller = far.call(Dial(OWN, house.product.sip, "+14155550177", display))
        await caller.reaches(CallState.ENDED)
        assert caller.ending is not None
        assert (caller.ending.status, caller.ending.reason) == (503, "Q.850;cause=34"), display
        listed = await house.product.api.ok("GET", f"/v1/voice/calls?to={OWN.replace('+', '%2B')}&limit=1")
        call = await house.product.api.ended(listed[0]["id"])
        assert call["status"] == "failed"
        assert call["termination"] == {"result": "server_error", "reason": "trunk_full"}
    assert len(house.british.incoming) == before
    await hang_up_all(house, *held)


async def test_refused_and_abandoned_calls_give_their_lines_back(house: House) -> None:
    await route_to(house, LONDON)
    for _ in range(4):
        caller = house.british.call(Dial("+12025550999", house.product.sip, "+442079460001"))
        await caller.reaches(CallState.ENDED)  # nobody owns that number
        assert caller.ending is not None
        assert caller.ending.status == 404
        gone = house.product.carrier.call(Dial(OWN, house.product.sip, "+14155550177"))
        await gone.reaches(CallState.RINGING)
        await gone.cancel()
        await last_call_over(house)
    held = [await answered(house, LONDON) for _ in range(2)]
    await hang_up_all(house, *held)


async def last_call_over(house: House) -> None:
    """The newest call to our number is over for the gateway too, not only for its phones."""
    listed = await house.product.api.ok("GET", f"/v1/voice/calls?to={OWN.replace('+', '%2B')}&limit=1")
    await house.product.api.ended(listed[0]["id"])


async def route_to(house: House, number: str) -> None:
    numbers = await house.product.api.ok("GET", "/api/v1/numbers")
    route = {"type": "number", "number": number}
    await house.product.api.ok("PATCH", f"/api/v1/numbers/{numbers[0]['id']}", {"route": route})
