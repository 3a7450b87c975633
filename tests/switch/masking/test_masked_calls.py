"""Two people call one another through proxy numbers: the whole product, over the real switch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial.listener import WebhookListener
from gateway.trial.sip_behaviour import InviteFacts, answers, by_last_digits
from gateway.trial.sip_call import CallState
from gateway.trial.sip_incoming import IncomingCall
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from tests.rig.product import Json, Product, running_product

pytestmark = pytest.mark.switch

BUYER, SELLER, STRANGER, HOARDER = "+14155550171", "+14155550172", "+14155550173", "+14155550174"
POOL = ("+12025550111", "+12025550112", "+12025550113")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    def decide(invite: InviteFacts):
        return answers() if invite.user in (BUYER, SELLER) else by_last_digits()(invite)

    async with running_product(tmp_path_factory.mktemp("masked"), decide=decide) as running:
        for number in POOL:
            owned = await running.api.ok(
                "POST", "/api/v1/numbers", {"e164": number, "capabilities": ["voice", "sms"]}
            )
            await running.api.ok("POST", "/api/v1/proxy/pool/numbers", {"number_id": owned["id"]})
        yield running


async def opened(product: Product, **fields: object) -> Json:
    body = {"party_a": BUYER, "party_b": SELLER, **fields}
    return dict(await product.api.ok("POST", "/api/v1/proxy/sessions", body))


def dialled(product: Product, caller: str, number: str) -> OutgoingCall:
    return product.carrier.call(Dial(number, product.sip, caller))


async def rung(product: Product, before: int) -> IncomingCall:
    """The far end that rings next."""
    await product.carrier.traces(lambda: len(product.carrier.incoming) > before, 5.0, "a far end that rings")
    return product.carrier.incoming[before]


async def talked(product: Product, caller: str, number: str) -> IncomingCall:
    """One masked call from ring to hang-up; the far end that was reached."""
    before = len(product.carrier.incoming)
    call = dialled(product, caller, number)
    far = await rung(product, before)
    await call.reaches(CallState.ANSWERED, within_s=8.0)
    await far.reaches(CallState.ANSWERED)
    await call.hang_up()
    await far.reaches(CallState.ENDED)
    return far


async def interactions(product: Product, session: Json, over: int) -> list[Json]:
    async with asyncio.timeout(10):
        while True:
            found = await product.api.ok("GET", f"/api/v1/proxy/sessions/{session['id']}/interactions")
            if sum(one["ended_at"] is not None for one in found) >= over:
                return list(found)
            await asyncio.sleep(0.05)


async def test_each_reaches_the_other_shown_the_number_that_it_knows(product: Product) -> None:
    session = await opened(product)
    from_buyer = await talked(product, BUYER, session["proxy_number_a"])
    assert from_buyer.facts.user == SELLER
    assert from_buyer.facts.from_user == session["proxy_number_b"]
    from_seller = await talked(product, SELLER, from_buyer.facts.from_user)
    assert from_seller.facts.user == BUYER
    assert from_seller.facts.from_user == session["proxy_number_a"]
    seen = await interactions(product, session, 2)
    assert [(one["from_seat"], one["status"]) for one in reversed(seen)] == [
        (0, "completed"),
        (1, "completed"),
    ]
    closed = await product.api.ok("DELETE", f"/api/v1/proxy/sessions/{session['id']}")
    assert closed["status"] == "closed"


async def test_a_stranger_and_a_closed_session_reach_nobody(product: Product) -> None:
    session = await opened(product)
    before = len(product.carrier.incoming)
    stranger = dialled(product, STRANGER, session["proxy_number_a"])
    await stranger.reaches(CallState.ENDED, within_s=8.0)
    await product.api.ok("DELETE", f"/api/v1/proxy/sessions/{session['id']}")
    late = dialled(product, BUYER, session["proxy_number_a"])
    await late.reaches(CallState.ENDED, within_s=8.0)
    assert stranger.ending is not None
    assert late.ending is not None
    assert stranger.ending.status == late.ending.status
    assert len(product.carrier.incoming) == before


async def test_the_call_belongs_to_its_session_and_hides_the_caller(product: Product) -> None:
    session = await opened(product)
    await talked(product, BUYER, session["proxy_number_a"])
    call = (await product.api.ok("GET", "/v1/voice/calls?limit=1"))[0]
    assert call["session_id"] == session["id"]
    assert call["to"] == session["proxy_number_a"]
    await product.api.ok("DELETE", f"/api/v1/proxy/sessions/{session['id']}")


async def test_a_pool_that_is_used_up_says_so_to_the_asker_and_to_the_webhook(product: Product) -> None:
    async with await WebhookListener.start("whsec_" + "A" * 32, time.time) as listener:
        endpoint = {"url": listener.url(), "events": ["pool.exhausted"]}
        await product.api.ok("POST", "/api/v1/webhooks", endpoint)
        sessions = [
            await opened(product, party_a=HOARDER, party_b=f"+1415555018{count}")
            for count in range(len(POOL))
        ]
        refused, answer = await product.api.ask(
            "POST", "/api/v1/proxy/sessions", {"party_a": HOARDER, "party_b": STRANGER}
        )
        assert refused == 409
        assert answer["error"]["code"] == "POOL_EXHAUSTED"
        told = await listener.waits_for(
            lambda delivery: delivery.event["type"] == "pool.exhausted", 10.0, "the pool's webhook"
        )
        assert told.event["data"]["constraint"] == answer["error"]["details"]["constraint"]
        for session in sessions:
            await product.api.ok("DELETE", f"/api/v1/proxy/sessions/{session['id']}")
