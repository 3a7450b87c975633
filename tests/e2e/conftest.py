"""One product for all tests of this folder that break nothing, and a webhook receiver beside it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.trial.audio import tone
from gateway.trial.listener import WebhookListener
from gateway.trial.sip_behaviour import Behaviour, InviteFacts, answers, by_last_digits
from tests.rig.product import Product, running_product

CARRIER_HZ = 700.0
_DIAL_PLAN = by_last_digits()


def _decide(facts: InviteFacts) -> Behaviour:
    """The standing dial plan; numbers ending in 6000 answer and sound a tone."""
    if facts.user.endswith("6000"):
        return answers(audio=tone(CARRIER_HZ, 10.0))
    return _DIAL_PLAN(facts)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    async with running_product(tmp_path_factory.mktemp("house") / "var", decide=_decide) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def listener(house: Product) -> AsyncIterator[WebhookListener]:
    """Receives webhooks and checks their signatures with the tenant's own secret."""
    secret = (await house.api.ok("GET", "/api/v1/webhooks/signing-secret"))["signing_secret"]
    receiver = await WebhookListener.start(str(secret), time.time)
    yield receiver
    await receiver.close()
