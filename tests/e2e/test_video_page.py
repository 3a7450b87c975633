"""The video page's samples as curl sends them, to a running gateway with a LiveKit server of its own."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.rig.livekit import livekit_program
from tests.rig.product import Product, running_product
from tests.rig.video_samples import BASE, SAMPLES, Curl, replay
from tests.rig.visitors import visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WITHIN_S = 30.0


@pytest.fixture(scope="module")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    livekit_program()
    var = tmp_path_factory.mktemp("video")
    async with running_product(var, extra={"PATCHBAY_LIVEKIT": "auto"}) as running:
        yield running


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


async def _people(product: Product, way_in: Mapping[str, Any]) -> set[str]:
    """Who is in the room that this answer leads to, as the API tells it."""
    if "ws_url" in way_in:
        live = await product.api.ok("GET", f"{BASE}/rooms-scheduled?status=live")
        details = [await product.api.ok("GET", f"{BASE}/rooms-scheduled/{room['id']}") for room in live]
        lines = [line for detail in details for line in detail["participants"]]
        return {line["identity"] for line in lines if line["status"] == "joined"}
    found = await product.api.ok("GET", f"{BASE}/rooms/short-talk")
    return {person["identity"] for person in found["participants"]}


async def _until_in(product: Product, way_in: Mapping[str, Any]) -> None:
    identity = _claims(str(way_in["token"]))["sub"]
    async with asyncio.timeout(WITHIN_S):
        # why polled: the media server's report comes when it comes
        while identity not in await _people(product, way_in):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_every_sample_is_answered_as_documented(product: Product):
    async with aiohttp.ClientSession() as plain, AsyncExitStack() as stack:

        async def ask(curl: Curl) -> tuple[int, bytes]:
            headers = {name: value.replace("$KEY", product.key) for name, value in curl.headers.items()}
            async with plain.request(
                curl.method,
                product.api.root + curl.path,
                data=curl.body,
                headers=headers,
                skip_auto_headers=["Content-Type"],
            ) as response:
                return response.status, await response.read()

        async def arrive(way_in: Mapping[str, Any]) -> None:
            token = str(way_in["token"])
            address = str(way_in.get("ws_url") or way_in["url"])
            here = await stack.enter_async_context(visitor(address, token))
            await here.speak(440)
            await _until_in(product, way_in)

        assert await replay(ask, arrive) == [sample.name for sample in SAMPLES]


async def test_whoever_has_a_slash_in_their_name_is_kicked_by_it_and_stays_out(product: Product):
    room = (await product.api.ok("POST", f"{BASE}/rooms-scheduled", {"name": "Slashes"}))["room_id"]
    path = f"{BASE}/rooms-scheduled/{room}"
    way_in = await product.api.ok("POST", f"{path}/join", {"identity": "a/b é"})
    async with visitor(way_in["ws_url"], way_in["token"]) as here, aiohttp.ClientSession() as plain:
        await _until_in(product, way_in)
        address = URL(f"{product.api.root}{path}/participants/a%2Fb%20%C3%A9/kick", encoded=True)
        async with plain.post(address, headers={"X-API-Key": product.key}) as response:
            assert response.status == 200, await response.text()
            assert (await response.json())["data"]["identity"] == "a/b é"
        async with asyncio.timeout(WITHIN_S):
            assert await here.left == "PARTICIPANT_REMOVED"
    await product.api.ok("POST", f"{path}/end")
