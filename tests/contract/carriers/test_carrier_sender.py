"""The way out to carriers: bounded, without redirects, and never to an address that was not meant."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.carriers.plan import CarrierPlan, parse_carriers
from gateway.carriers.sender import ANSWER_BYTES, HttpSender
from proxy_pool.core.text import Media, OutboundText
from proxy_pool.texts.ports import CarrierRefused, CarrierUnreachable, SentAs
from telephony.errors import NotFound, OutcomeUnknown
from telephony.numbers import E164
from tests.contract.carriers.world import THEM, US

pytestmark = pytest.mark.contract
TEXT = OutboundText("msg_01", E164(US), E164(THEM), "Hello")


def plan(api_base: str, allow_private: bool = True, kind: str = "generic") -> CarrierPlan:
    keys = {
        "generic": f'api_key = "k"\nsigning_secret = "whsec_{"A" * 43}="\n',
        "vonage": 'api_key = "k"\napi_secret = "s"\nsignature_secret = "x"\n',
    }[kind]
    leave = "allow_private = true\n" if allow_private else ""
    text = f'[carriers.main]\nkind = "{kind}"\n{keys}{leave}api_base = "{api_base}"\n'
    return parse_carriers(text, "https://gw.example")


@asynccontextmanager
async def api(answer: web.Response | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """A carrier's API that always answers the same, and the paths it was asked."""
    asked: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        asked.append(request.path)
        given = answer or web.json_response({"id": "p-1", "segments": 2})
        return web.Response(status=given.status, body=given.body, headers=given.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sending(given: CarrierPlan, **more: object) -> AsyncIterator[HttpSender]:
    sender = HttpSender(given, **more)  # type: ignore[arg-type]
    try:
        yield sender
    finally:
        await sender.close()


async def test_a_text_goes_to_the_configured_base():
    async with api() as (base, asked), sending(plan(base + "/smsc/v3")) as sender:
        assert await sender.send(TEXT, "main") == SentAs("p-1", 2)
        assert asked == ["/smsc/v3/messages"]


async def test_no_redirection_is_followed():
    redirect = web.Response(status=307, headers={"location": "/elsewhere"})
    async with api(redirect) as (base, asked), sending(plan(base)) as sender:
        with pytest.raises((OutcomeUnknown, CarrierRefused)):
            await sender.send(TEXT, "main")
        assert asked == ["/messages"]


@pytest.mark.parametrize(("size", "known"), [(ANSWER_BYTES - 100, True), (ANSWER_BYTES + 100, False)])
async def test_an_endless_answer_is_not_read(size: int, known: bool):
    body = b'{"id": "p-1", "more": "' + b"x" * size + b'"}'
    async with api(web.Response(body=body)) as (base, _), sending(plan(base)) as sender:
        if known:
            assert (await sender.send(TEXT, "main")).provider_id == "p-1"
        else:
            with pytest.raises(OutcomeUnknown):
                await sender.send(TEXT, "main")


async def test_a_carrier_that_is_not_there_took_nothing():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with sending(plan(f"http://127.0.0.1:{port}")) as sender:
        with pytest.raises(CarrierUnreachable):
            await sender.send(TEXT, "main")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254"])
async def test_a_public_name_that_leads_inside_is_not_followed(address: str):
    def leads_inside(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        return [(socket.AF_INET, address)]

    given = plan("https://smsc.example", allow_private=False)
    async with sending(given, lookup=leads_inside) as sender:
        with pytest.raises(CarrierUnreachable):
            await sender.send(TEXT, "main")


async def test_a_name_that_nobody_knows_took_nothing():
    def unknown(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        raise OSError("no such host")

    async with sending(plan("https://smsc.example", allow_private=False), lookup=unknown) as sender:
        with pytest.raises(CarrierUnreachable):
            await sender.send(TEXT, "main")


async def test_what_a_carrier_cannot_carry_is_refused_before_it_is_asked():
    async with api() as (base, asked), sending(plan(base, kind="vonage")) as sender:
        picture = OutboundText(
            "msg_02", E164(US), E164(THEM), "", (Media("https://gw.example/m", "image/png"),)
        )
        phone = OutboundText("msg_03", E164(US), E164(US), "Hello", phone="alice")
        for text in (picture, phone):
            with pytest.raises(CarrierRefused) as told:
                await sender.send(text, "main")
            assert told.value.permanent
        assert asked == []


async def test_a_carrier_that_is_not_configured_is_not_found():
    async with sending(CarrierPlan()) as sender:
        with pytest.raises(NotFound):
            await sender.send(TEXT, "main")
