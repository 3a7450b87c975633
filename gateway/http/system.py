"""What machines and newcomers ask: is it alive, is it ready, how much, how is it used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.http.answers import Plain
from gateway.http.exchange import Exchange, to_json
from gateway.http.operation import OPEN, Ask, Operation, Room, Serve
from gateway.http.pages import asset, page
from gateway.http.ports import Health, Probe
from gateway.http.serve import admit_key
from telephony.errors import Unavailable

PROBE_DEADLINE_S: Final = 2.0
_JSON: Final = b"application/json"
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")


async def alive(ask: Ask) -> Plain:
    """The process answers. Says nothing of what it depends on."""
    return Plain(b'{"status":"ok"}', _JSON, headers=_NO_STORE)


async def ready(ask: Ask) -> Plain:
    """Every dependency by name; 503 unless all are well."""
    found = await probe_all(ask.face.probes)
    well = all(health.ok for health in found.values())
    told = {
        "status": "ready" if well else "not_ready",
        "dependencies": {name: {"ok": health.ok, "detail": health.detail} for name, health in found.items()},
    }
    return Plain(to_json(told), _JSON, 200 if well else 503, _NO_STORE)


async def probe_all(probes: Mapping[str, Probe]) -> dict[str, Health]:
    """Ask all at once; one that does not answer in time is not well."""
    results = await asyncio.gather(*(_probe(probe) for probe in probes.values()))
    return dict(zip(probes, results, strict=True))


async def _probe(probe: Probe) -> Health:
    try:
        async with asyncio.timeout(PROBE_DEADLINE_S):
            return await probe()
    except TimeoutError:
        return Health(False, "no answer in time")
    except Unavailable as error:
        return Health(False, error.message)


async def metrics(ask: Ask) -> Plain:
    """Prometheus text, for this machine or for a key with ``metrics:read``."""
    if not from_this_machine(ask.exchange):
        await admit_key(ask.face, ask.exchange, "metrics:read", "api")
    text = generate_latest(ask.face.registry)
    return Plain(text, CONTENT_TYPE_LATEST.encode("ascii"), headers=_NO_STORE)


def from_this_machine(exchange: Exchange) -> bool:
    """Whether the request was made on this machine itself, and not passed on by a proxy here."""
    if any(name in exchange.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(exchange.address or "").is_loopback
    except ValueError:
        return False


async def docs(ask: Ask) -> Plain:
    """The documentation page."""
    return page("docs.html")


async def docs_asset(ask: Ask) -> Plain:
    """A part of the documentation page."""
    return asset(ask.path["name"])


def _system(path: str, name: str, summary: str, serve: Serve, media: str = "application/json") -> Operation:
    return Operation("GET", path, name, "System", summary, serve, OPEN, bucket="none", media=media)


def serves_document(document: bytes, name: str) -> Operation:
    """The operation that shows the OpenAPI document, for any mount."""

    async def openapi(ask: Ask) -> Plain:
        return Plain(document, _JSON, headers=((b"cache-control", b"no-cache"),))

    return _system("/openapi.json", name, "This document", openapi)


def room(document: bytes) -> Room:
    """The operations at the root; ``document`` is the OpenAPI document as served."""
    return Room(
        ("",),
        (
            _system("/healthz", "alive", "Whether the process answers", alive),
            _system("/readyz", "ready", "Whether every dependency is well", ready),
            _system("/metrics", "metrics", "Prometheus metrics", metrics, "text/plain"),
            serves_document(document, "openapi"),
            _system("/docs", "docs", "The documentation page", docs, "text/html"),
            _system("/docs/{name}", "docsAsset", "A part of that page", docs_asset, "text/plain"),
        ),
    )
