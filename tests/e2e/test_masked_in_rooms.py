"""Parties of a masking session in a room: what the room, the webhooks, the log and the figures are told of
them holds their numbers in no notation, though one dials in and the other is called."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from livekit import rtc

from gateway.stack import base_url
from gateway.trial.audio import active_seconds, tone
from gateway.trial.listener import Delivery, WebhookListener
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial
from tests.rig.crowd import Crowd, Pair
from tests.rig.leaks import find_leaks
from tests.rig.livekit import livekit_program
from tests.rig.product import OWN, Product, running_product
from tests.rig.visitors import Visitor, visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

ROOMS = "/api/v1/video/rooms-scheduled"
PROXY_A, PROXY_B = "+12025550131", "+12025550132"
A_HZ, B_HZ, HOST_HZ = 400.0, 600.0, 850.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    livekit_program()  # why: without the program the test is skipped and says so
    var = tmp_path_factory.mktemp("masked-rooms") / "var"
    called = answers(audio=tone(B_HZ, 0.5))
    async with running_product(var, decide=lambda _: called, extra={"PATCHBAY_LIVEKIT": "auto"}) as product:
        number = next(one for one in await product.api.ok("GET", "/api/v1/numbers") if OWN in one.values())
        await product.api.ok("PATCH", f"/api/v1/numbers/{number['id']}", {"route": {"type": "rooms"}})
        yield product


async def test_no_number_of_a_masked_party_comes_out_in_a_room(house: Product) -> None:
    crowd = Crowd(house)
    await crowd.numbers(PROXY_A, PROXY_B)
    pair = await crowd.opens()
    room = await house.api.ok("POST", ROOMS, {"name": "Viewing"})
    there = f"{ROOMS}/{room['room_id']}"
    async with listening(house) as told, visitor(room["ws_url"], room["host_token"]) as host:
        await host.speak(HOST_HZ)
        dials = house.carrier.call(Dial(OWN, house.sip, pair.a, audio=tone(A_HZ, 0.5)))
        await dials.reaches(CallState.ANSWERED, within_s=30.0)
        dials.stream.press(f"{room['pin']}#")
        dials.stream.play(tone(A_HZ, 0.5), repeat=True)
        first = await somebody(host, but=set())
        await host.hears(first, A_HZ, within_s=30)
        wanted = {"session_id": pair.id, "party": "party_b"}
        line = await house.api.ok("POST", f"{there}/participants", wanted)
        rung = await house.carrier.receives(within_s=30.0)
        assert rung.facts.user == pair.b
        assert rung.facts.from_user.lstrip("+") == str(pair.session["proxy_number_b"]).lstrip("+")
        await rung.hears(lambda pcm: active_seconds(pcm) >= 1.5, 30.0, "the question")
        rung.stream.press("1")
        assert await somebody(host, but={first}) == line["identity"]
        assert {one.name for one in host.others.values()} == {"Phone"}
        people = await house.api.ok("GET", there)
        calls = [one["call_id"] for one in people["participants"] if one["call_id"]]
        seen = [seen_of(one) for one in host.others.values()]
        await house.api.ok("DELETE", f"/api/v1/proxy/sessions/{pair.id}")
        await house.api.ok("POST", f"{there}/end")
        await rung.reaches(CallState.ENDED, within_s=30.0)
        await dials.reaches(CallState.ENDED, within_s=30.0)
        for call_id in calls:
            await told.waits_for(partial(is_end_of, call_id), 40.0, "the calls' ends")
        heard_there = json.dumps([seen, [packet.payload.decode("latin-1") for packet in host.packets]])
        places = {
            "the room": heard_there,
            "the roster": json.dumps([people, await house.api.ok("GET", there), line]),
            "webhooks": json.dumps([one.event for one in told.deliveries]),
            "metrics": await metrics(house),
            "the log": await asyncio.to_thread((house.var / "log/gateway.log").read_text),
            "the media server's log": await asyncio.to_thread((house.var / "livekit/livekit.log").read_text),
            "what B was sent": invites(house),
        }
    check(pair, places)
    (one,) = await house.api.ok("GET", f"/api/v1/proxy/sessions/{pair.id}/interactions")
    assert (one["from"], one["to"], one["proxy_number"]) == (
        "visitor",
        "party_b",
        pair.session["proxy_number_b"],
    )


def check(pair: Pair, places: dict[str, str]) -> None:
    assert all(len(text) > 100 for text in places.values()), "there was something to search"
    leaks = {
        (place, how)
        for place, text in places.items()
        for number in ((pair.a,) if place == "what B was sent" else (pair.a, pair.b))
        for how in find_leaks(number, text)
    }
    assert leaks == set()


def invites(house: Product) -> str:
    """What called telephones were sent."""
    trace = house.carrier.transport.trace
    return "".join(
        one.raw.decode("latin-1") for one in trace if not one.sent and one.raw.startswith(b"INVITE")
    )


def seen_of(one: rtc.RemoteParticipant) -> dict[str, Any]:
    tracks = [track.name for track in one.track_publications.values()]
    plain = {"identity": one.identity, "name": one.name, "metadata": one.metadata, "tracks": tracks}
    return {**plain, "attributes": dict(one.attributes)}


async def somebody(host: Visitor, but: set[str]) -> str:
    def new() -> set[str]:
        return {who for who in host.others if who.startswith("phone_")} - but

    await host.until(new, 40, "seeing another telephone")
    return new().pop()


def is_end_of(call_id: str, one: Delivery) -> bool:
    return one.event["type"] == "call.completed" and call_id in json.dumps(one.event["data"])


@asynccontextmanager
async def listening(house: Product) -> AsyncIterator[WebhookListener]:
    """Everything that the tenant's own endpoint is told."""
    secret = await house.api.ok("GET", "/api/v1/webhooks/signing-secret")
    async with await WebhookListener.start(str(secret["signing_secret"]), time.time) as listener:
        made = await house.api.ok("POST", "/api/v1/webhooks", {"url": listener.url(), "events": ["*"]})
        listener.secrets = (str(made["signing_secret"]),)
        yield listener


async def metrics(house: Product) -> str:
    address = f"{base_url(house.stack.settings)}/metrics"
    async with aiohttp.ClientSession() as http, http.get(address) as answer:
        return await answer.text()
