"""Attachments of carriers: fetched with the account's proof at its API alone, and never from inside."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.carriers.fetch import CarrierFetch
from gateway.carriers.plan import CarrierPlan, parse_carriers
from gateway.trial.carrier_sim import SPEECHES, CarrierSim, SimSetup
from proxy_pool.texts.ports import MediaUnfit
from telephony.errors import Unavailable

pytestmark = pytest.mark.contract
Serve = Callable[[web.Request], web.StreamResponse]


@asynccontextmanager
async def host(serve: Serve) -> AsyncIterator[tuple[str, list[str]]]:
    """A media host on this machine, and the Authorization of each request to it."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("authorization", ""))
        return serve(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


def plan(kind: str, api_base: str) -> CarrierPlan:
    sim = CarrierSim(SimSetup(kind, "http://127.0.0.1:1/v1/proxy/inbound/sim"), lambda: 0.0)
    return parse_carriers(sim.plan_text().replace(sim.api_base, api_base), "https://gw.example")


@asynccontextmanager
async def fetching(given: CarrierPlan, **more: object) -> AsyncIterator[CarrierFetch]:
    fetch = CarrierFetch(given, **more)  # type: ignore[arg-type]
    try:
        yield fetch
    finally:
        await fetch.close()


@pytest.mark.parametrize("kind", sorted(SPEECHES))
async def test_credentials_go_to_the_carriers_api_and_nowhere_else(kind: str):
    async with host(lambda _: web.Response(body=b"elsewhere")) as (store, seen_there):
        ahead = web.Response(status=307, headers={"location": f"{store}/kept/1"})
        async with (
            host(lambda _: web.Response(status=307, headers=ahead.headers)) as (api, seen_at_home),
            fetching(plan(kind, api)) as fetch,
        ):
            assert await fetch("sim", f"{api}/media/1", 100) == b"elsewhere"
            assert await fetch("sim", f"{store}/direct", 100) == b"elsewhere"
        assert seen_there == ["", ""]
        proves = kind in ("twilio", "bandwidth", "generic")
        assert [bool(one) for one in seen_at_home] == [proves]


async def test_no_more_is_read_than_is_wanted():
    async with (
        host(lambda _: web.Response(body=b"x" * 300_000)) as (base, _),
        fetching(plan("generic", base)) as fetch,
    ):
        assert len(await fetch("sim", f"{base}/a", 200_000)) == 200_001
        assert len(await fetch("sim", f"{base}/a", 300_000)) == 300_000


@pytest.mark.parametrize(
    ("status", "error"), [(404, MediaUnfit), (403, MediaUnfit), (204, MediaUnfit), (500, Unavailable)]
)
async def test_what_is_gone_is_gone_and_what_is_away_may_come_back(status: int, error: type[Exception]):
    async with (
        host(lambda _: web.Response(status=status)) as (base, _),
        fetching(plan("generic", base)) as fetch,
    ):
        with pytest.raises(error):
            await fetch("sim", f"{base}/a", 100)


async def test_redirections_without_end_are_given_up():
    async with (
        host(lambda r: web.Response(status=302, headers={"location": r.path + "x"})) as (base, seen),
        fetching(plan("generic", base)) as fetch,
    ):
        with pytest.raises(MediaUnfit):
            await fetch("sim", f"{base}/a", 100)
        assert len(seen) == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "http://[::ffff:169.254.169.254]/",
        "https://user:pw@media.example/",
        "http://media.example.com/a",
    ],
)
async def test_an_address_that_is_not_meant_is_refused_also_after_a_redirection(url: str):
    def nowhere(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        return [(socket.AF_INET, "93.184.216.34")]

    ahead = {"location": url}
    async with (
        host(lambda _: web.Response(status=302, headers=ahead)) as (base, _),
        fetching(plan("generic", base), lookup=nowhere) as fetch,
    ):
        for address in (url, f"{base}/a"):
            with pytest.raises(MediaUnfit):
                await fetch("sim", address, 100)


async def test_a_carrier_of_the_internet_leads_nobody_inside():
    def inside(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
        return [(socket.AF_INET, "127.0.0.1")]

    text = "\n".join(
        line
        for line in CarrierSim(SimSetup("telnyx", "http://127.0.0.1:1/x"), lambda: 0.0)
        .plan_text()
        .splitlines()
        if "allow_private" not in line and "api_base" not in line
    )
    given = parse_carriers(text, "https://gw.example")
    async with fetching(given, lookup=inside) as fetch:
        for address in ("https://media.example.com/a", "https://127.0.0.1/a", "http://127.0.0.1/a"):
            with pytest.raises(MediaUnfit):
                await fetch("sim", address, 100)
        with pytest.raises(MediaUnfit):
            await fetch("other", "https://media.example.com/a", 100)
