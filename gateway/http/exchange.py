"""One request and its answer, from the first byte to the log line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, cast

import orjson
from starlette.types import Scope, Send

from gateway.auth import Caller
from gateway.forwarded import Networks, client_address
from gateway.http.errors import ErrorReply

Headers = tuple[tuple[bytes, bytes], ...]
JSON: Final[Headers] = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
SECURITY: Final[Headers] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
API_ONLY: Final[Headers] = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),)
ANY_ORIGIN: Final[Headers] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"X-Request-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Reset"),
)
PREFLIGHT: Final[Headers] = (
    (b"access-control-allow-headers", b"Content-Type"),
    (b"access-control-max-age", b"86400"),
)
_KEY: Final = "patchbay.exchange"


@dataclass(frozen=True, slots=True)
class ToldError:
    """An error in the shape of one face. ``code`` is for the log."""

    status: int
    code: str
    headers: Headers
    body: bytes


ErrorShape = Callable[[BaseException, bool], ToldError]
"""How a face tells an error; true: whoever asked may see whole telephone numbers."""


@dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered. ``route`` is the template, never the real path."""

    request_id: str
    at: datetime
    docs_url: str
    method: str
    address: str | None
    headers: dict[bytes, bytes]
    repeated: frozenset[bytes]
    route: str = "unmatched"
    caller: Caller | None = None
    status: int = 0
    started: bool = False
    extra: list[tuple[bytes, bytes]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def sees_numbers(self) -> bool:
        """Whether whoever asks may be shown whole numbers; not before it is known who asks."""
        return self.caller is not None and self.caller.sees_numbers

    def meta(self) -> dict[str, object]:
        return {"request_id": self.request_id, "timestamp": stamp(self.at)}

    async def send(self, send: Send, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer with the headers every answer has."""
        await self.start(send, status, (*headers, (b"content-length", b"%d" % len(body))))
        await send({"type": "http.response.body", "body": body})

    async def start(self, send: Send, status: int, headers: Headers) -> None:
        """Begin an answer whose body follows in parts."""
        self.status = status
        self.started = True
        ours = (*headers, *self.extra, *SECURITY, (b"x-request-id", self.request_id.encode("ascii")))
        await send({"type": "http.response.start", "status": status, "headers": list(ours)})

    async def send_error(self, send: Send, reply: ErrorReply) -> None:
        headers = (*JSON, *API_ONLY, *reply.headers)
        await self.send_told(send, ToldError(reply.status, reply.code, headers, self.error_body(reply)))

    async def send_told(self, send: Send, told: ToldError) -> None:
        self.facts["code"] = told.code
        await self.send(send, told.status, told.headers, told.body)

    def error_body(self, reply: ErrorReply) -> bytes:
        """``{error, meta}``; ``docs_url`` leads to the code's explanation."""
        meta = self.meta() | {"docs_url": f"{self.docs_url}#error-{reply.code}"}
        return to_json({"error": reply.error, "meta": meta})


def open_exchange(
    scope: Scope, now: datetime, new_id: Callable[[str], str], docs_url: str, proxies: Networks = ()
) -> Exchange:
    """The exchange of a request that just arrived; it rides in the scope. ``proxies`` are believed when they
    say for whom they ask."""
    headers: dict[bytes, bytes] = {}
    repeated = set()
    for name, value in scope["headers"]:
        if name in headers:
            repeated.add(name)
        headers[name] = value
    client = scope.get("client")
    exchange = Exchange(
        request_id=new_id("req"),
        at=now,
        docs_url=docs_url,
        method=scope["method"],
        address=client_address(None if client is None else client[0], scope["headers"], proxies),
        headers=headers,
        repeated=frozenset(repeated),
    )
    scope[_KEY] = exchange
    return exchange


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that rides in the scope."""
    return cast(Exchange, scope[_KEY])


def to_json(value: object) -> bytes:
    return orjson.dumps(value)


@lru_cache(maxsize=16)
def _stamp_second(second: datetime) -> str:
    return second.strftime("%Y-%m-%dT%H:%M:%S")


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. ``2026-03-08T12:00:00.000Z``."""
    moment = moment.astimezone(UTC)
    return f"{_stamp_second(moment.replace(microsecond=0))}.{moment.microsecond // 1000:03d}Z"


def epoch_stamp(at: float | None) -> str | None:
    """The same of epoch seconds."""
    return None if at is None else stamp(datetime.fromtimestamp(at, UTC))
