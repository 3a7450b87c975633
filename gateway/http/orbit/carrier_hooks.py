"""Where carriers tell us of texts and receipts. No key is asked for: the carrier's signature stands in.

The address that signatures cover is made of our configured public address and the route, never of what the
request says of itself (Host, X-Forwarded-…).
"""

from __future__ import annotations

from typing import Final

from gateway.http.answers import Plain
from gateway.http.operation import OPEN, Ask, Operation
from gateway.http.throttle import admit_stranger
from proxy_pool.wire.carrier import RawRequest
from proxy_pool.wire.reading import refuse_signature
from telephony.errors import MalformedRequest, NotAuthenticated, StorageUnavailable

MAX_HOOK_BODY: Final = 256 * 1024
_TAG: Final = "Masking"


async def receive(ask: Ask) -> Plain:
    """Verify, read, store; then the answer that the carrier expects. One text more for 401 there is not."""
    hooks = ask.face.carrier_hooks
    try:
        if hooks is None:
            raise refuse_signature()
        answer = await hooks.receive(ask.path["carrier"], raw_request(ask))
    except NotAuthenticated:
        await admit_stranger(ask.face, ask.exchange)
        raise
    return Plain(answer.body, answer.content_type.encode("ascii"), answer.status)


def raw_request(ask: Ask) -> RawRequest:
    """The request as adapters read it. A header that came twice is none."""
    exchange = ask.exchange
    route = exchange.route.replace("{carrier}", ask.path["carrier"])
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in exchange.headers.items()
        if name not in exchange.repeated
    }
    query: bytes = ask.query
    return RawRequest(
        "GET" if exchange.method == "HEAD" else exchange.method,
        f"{ask.face.settings.public_url}{route}",
        query.decode("latin-1"),
        headers,
        ask.body,
    )


def _hook(method: str, path: str, name: str, summary: str) -> Operation:
    return Operation(
        method,
        path,
        name,
        _TAG,
        summary,
        receive,
        OPEN,
        bucket="none",
        raw_body=MAX_HOOK_BODY,
        media="text/plain",
        raises=(NotAuthenticated, MalformedRequest, StorageUnavailable),
        description="Called by the carrier itself; see the chapter on carriers.",
    )


CARRIER_HOOKS: Final = (
    _hook("POST", "/inbound/{carrier}", "carrierTells", "A carrier tells of texts"),
    _hook("GET", "/inbound/{carrier}", "carrierTellsByQuery", "A carrier tells of a text by query"),
    _hook("POST", "/receipts/{carrier}", "carrierReports", "A carrier tells what became of texts"),
    _hook("GET", "/receipts/{carrier}", "carrierReportsByQuery", "A carrier tells what became of a text"),
)
"""Operations below ``/proxy``: they belong into the room that is mounted there."""
