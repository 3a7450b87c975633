"""The trial receiver checks signatures rightly and misbehaves as told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook

from gateway.trial.listener import Mood, WebhookListener, devotel_signature, signature_faults
from gateway.trial.watch import NotInTime

pytestmark = pytest.mark.unit

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
NOW = 1_800_000_000.0
BODY = json.dumps({"type": "call.answered", "sequence": 3}).encode()


def signed(secret: str = SECRET, body: bytes = BODY, at: float = NOW) -> dict[str, str]:
    """Headers made by the independent package, and the other family by hand."""
    moment = datetime.fromtimestamp(at, tz=UTC)
    timestamp = str(int(at))
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": Webhook(secret).sign("evt_1", moment, body.decode()),
        "x-devotel-signature": f"t={timestamp},v1={devotel_signature(secret, timestamp, body)}",
    }


def test_genuine_headers_have_no_faults() -> None:
    assert signature_faults(signed(), BODY, (SECRET,), NOW) == ()
    assert signature_faults(signed(), BODY, (OTHER, SECRET), NOW + 299) == ()


def test_both_of_two_signatures_count() -> None:
    headers, old = signed(), signed(OTHER)
    headers["webhook-signature"] += " " + old["webhook-signature"]
    headers["x-devotel-signature"] += ",v1=" + old["x-devotel-signature"].split("v1=")[1]
    assert signature_faults(headers, BODY, (OTHER,), NOW) == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"webhook-id": "evt_2"}, "webhook-signature does not match"),
        ({"webhook-id": ""}, "webhook-id or webhook-timestamp is missing"),
        ({"webhook-timestamp": "x"}, "webhook-id or webhook-timestamp is missing"),
        ({"webhook-timestamp": "1700000000"}, "webhook-timestamp is too far from now"),
        ({"webhook-signature": ""}, "webhook-signature does not match"),
        ({"x-devotel-signature": ""}, "x-devotel-signature has no fresh t="),
        ({"x-devotel-signature": "t=1800000000,v1=00"}, "x-devotel-signature does not match"),
        ({"x-devotel-signature": "t=1,v1=00"}, "x-devotel-signature has no fresh t="),
    ],
)
def test_each_fault_is_named(change: dict[str, str], fault: str) -> None:
    assert signature_faults({**signed(), **change}, BODY, (SECRET,), NOW) == (fault,)


def test_another_body_and_another_secret_are_faults() -> None:
    assert len(signature_faults(signed(), BODY + b" ", (SECRET,), NOW)) == 2
    assert len(signature_faults(signed(OTHER), BODY, (SECRET,), NOW)) == 2


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[WebhookListener]:
    async with await WebhookListener.start(SECRET, time.time) as started:
        yield started


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def test_keeps_and_checks(listener: WebhookListener, client: aiohttp.ClientSession) -> None:
    async with client.post(listener.url("a/b"), data=BODY, headers=signed(at=time.time())) as answer:
        assert answer.status == 200
    async with client.post(listener.url(), data=b"{}") as answer:
        assert answer.status == 200
    good = await listener.waits_for(lambda d: d.event.get("type") == "call.answered", 15)
    assert (good.faults, good.path, good.webhook_id, good.body) == ((), "/a/b", "evt_1", BODY)
    both = await listener.waits_for_count(2, 15)
    assert len(both[1].faults) == 2


async def test_moods(listener: WebhookListener, client: aiohttp.ClientSession) -> None:
    listener.moods = [Mood(503, headers=(("Retry-After", "7"),)), Mood(0), Mood(200, delay_s=0.2)]
    async with client.post(listener.url(), data=b"{}") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    with pytest.raises(aiohttp.ClientError):
        await client.post(listener.url(), data=b"{}")
    began = time.monotonic()
    async with client.post(listener.url(), data=b"{}") as answer:
        assert answer.status == 200
    assert time.monotonic() - began >= 0.19
    listener.mood = Mood(410)
    async with client.post(listener.url(), data=b"{}") as answer:
        assert answer.status == 410


async def test_closed_refuses(listener: WebhookListener, client: aiohttp.ClientSession) -> None:
    await listener.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.post(listener.url(), data=b"{}")


async def test_what_does_not_come_is_said(listener: WebhookListener) -> None:
    with pytest.raises(NotInTime, match=r"the answer: not within 0\.05 s; seen: 0 deliveries"):
        await listener.waits_for(lambda _: True, 0.05, "the answer")
