"""How an operation is carried out: key, rights, rate, body, schema, idempotency, then the endpoint."""

from __future__ import annotations

import asyncio
import re
from typing import Final, cast
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from gateway.auth import Caller
from gateway.http import idempotency
from gateway.http.answers import FileSlice, Plain, Reply
from gateway.http.body import demand_json, parse_json, read_body
from gateway.http.errors import MethodNotAllowed, Overdue
from gateway.http.exchange import ANY_ORIGIN, API_ONLY, JSON, PREFLIGHT, Exchange, exchange_of
from gateway.http.face import Face
from gateway.http.files import send_slice
from gateway.http.operation import OPEN, Ask, Bucket, Operation
from gateway.http.outcome import carry_out, judged
from gateway.http.render import rendered
from gateway.http.schema import parse, parse_query
from gateway.http.throttle import admit, admit_guest, admit_stranger
from gateway.storage.records import KeyRole
from telephony.errors import MalformedRequest, NotAuthenticated, NotFound
from voice_agents.core import control_token

DEADLINE_S: Final = 45.0
"""No request is worked on for longer; an idempotency claim outlives it."""
_PATH_PART = re.compile(r"[A-Za-z0-9_.\-]{1,80}")
_MAX_QUERY: Final = 4_096
_MAX_RAW_QUERY: Final = 64 * 1024


class Switchboard:
    """All operations of one path, by method. An ASGI application."""

    def __init__(self, face: Face, template: str, operations: tuple[Operation, ...]) -> None:
        self._face = face
        self._template = template
        self._by_method = {operation.method: operation for operation in operations}
        self._allowed = tuple(sorted(self._by_method))
        self._any_origin = all(operation.any_origin for operation in operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        exchange.route = self._template
        method = exchange.method
        if self._any_origin:
            exchange.extra += ANY_ORIGIN
            if method == "OPTIONS":
                asked = (b"access-control-allow-methods", ", ".join(self._allowed).encode())
                await exchange.send(send, 204, (asked, *PREFLIGHT), b"")
                return
        operation = self._by_method.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise MethodNotAllowed(self._allowed)
        try:
            async with asyncio.timeout(DEADLINE_S):
                status, body, reply = await self._answer(operation, scope, receive)
        except TimeoutError:
            raise Overdue("the request took too long; look before trying again") from None
        if isinstance(reply, FileSlice):
            await send_slice(exchange, send, reply)
        elif isinstance(reply, Plain):
            kind = ((b"content-type", reply.content_type),) if reply.content_type else ()
            await exchange.send(send, status, (*kind, *reply.headers), body)
        else:
            await exchange.send(send, status, (*JSON, *API_ONLY, *reply.headers), body)

    async def _answer(self, operation: Operation, scope: Scope, receive: Receive) -> tuple[int, bytes, Reply]:
        face, exchange = self._face, exchange_of(scope)
        if operation.access != OPEN:
            await admit_key(face, exchange, operation.access, operation.bucket, to_agents=operation.to_agents)
        elif operation.bucket == "guests":
            await admit_guest(face, exchange)
        if operation.needs is not None:
            operation.needs(face)
        with judged(operation):
            path = _path_of(scope, operation)
            _own_call_alone(exchange, path)
            query: object = None
            if operation.query is not None:
                query = parse_query(operation.query, _query_of(scope))
            body: object = None
            canonical = b""
            if operation.body is not None:
                body, canonical = await _read(operation, exchange, receive)
        if operation.raw_body:
            query = _raw_query(scope)
            body = await read_body(exchange.headers, receive, operation.raw_body)
        ask = Ask(face, exchange, path, body, query)
        if operation.method == "POST" and operation.access != OPEN:
            asked = canonical + b"?" + _raw_query(scope) if operation.query is not None else canonical
            return await idempotency.once(operation, ask, asked)
        return rendered(operation, exchange, await carry_out(operation, ask))


async def admit_key(
    face: Face, exchange: Exchange, scope: str, bucket: Bucket, *, to_agents: bool = False
) -> None:
    """Find out who asks and let them in: raises NotAuthenticated, TooMany, NotPermitted, in this order.

    ``to_agents``: the control token of a call has the scope too.
    """
    try:
        caller = await caller_of(face, exchange, _key_in(exchange), scope if to_agents else None)
    except NotAuthenticated:
        await admit_stranger(face, exchange)
        raise
    exchange.caller = caller
    exchange.facts["tenant"] = caller.tenant
    exchange.facts["key_id"] = caller.key_id
    await admit(face, exchange, bucket)
    caller.demand(scope)


async def caller_of(face: Face, exchange: Exchange, key: str | None, agents_scope: str | None) -> Caller:
    """Who has this key, or this control token, which has no scope but the one given."""
    if key is None or not key.startswith(control_token.PREFIX):
        return await face.auth.identify(key, exchange.address)
    control = control_token.read(face.signing_secret, key, exchange.at.timestamp())
    scopes = frozenset() if agents_scope is None else frozenset({agents_scope})
    key_id = f"control:{control.call_id}"
    return Caller(control.tenant, key_id, KeyRole.VIEWER, scopes, test=False, call=control.call_id)


def _own_call_alone(exchange: Exchange, path: dict[str, str]) -> None:
    """Whoever came with the control token of a call finds that call and nothing else."""
    caller = exchange.caller
    if caller is not None and caller.call is not None and path.get("call_id") != caller.call:
        raise NotFound("there is no such call")


def _key_in(exchange: Exchange) -> str | None:
    """The key in X-API-Key or Authorization: Bearer. Two different ones are none."""
    headers = exchange.headers
    if not exchange.repeated.isdisjoint((b"x-api-key", b"authorization")):
        raise NotAuthenticated("give one API key, once", code="INVALID_API_KEY")
    plain = headers.get(b"x-api-key")
    scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
    if scheme and scheme.lower() != b"bearer":
        raise NotAuthenticated("the scheme of Authorization is Bearer", code="INVALID_API_KEY")
    if plain is not None and bearer and plain != bearer.strip():
        raise NotAuthenticated("X-API-Key and Authorization hold different keys", code="INVALID_API_KEY")
    found = plain if plain is not None else bearer.strip()
    return found.decode("latin-1") if found else None


def _path_of(scope: Scope, operation: Operation) -> dict[str, str]:
    path = cast("dict[str, str]", scope.get("path_params") or {})
    if operation.path_rules is not None:
        return parse(operation.path_rules, path).model_dump()
    for value in path.values():
        if _PATH_PART.fullmatch(value) is None:
            raise NotFound
    return path


def _query_of(scope: Scope) -> list[tuple[str, str]]:
    raw = cast(bytes, scope.get("query_string", b""))
    if not raw:
        return []
    if len(raw) > _MAX_QUERY:
        raise MalformedRequest("the query string is too long", expected=f"at most {_MAX_QUERY} bytes")
    try:
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=50,
        )
    except ValueError:
        raise MalformedRequest(
            "the query string cannot be read", expected="name=value, percent-encoded"
        ) from None


def _raw_query(scope: Scope) -> bytes:
    raw = cast(bytes, scope.get("query_string", b""))
    if len(raw) > _MAX_RAW_QUERY:
        raise MalformedRequest("the query string is too long", expected=f"at most {_MAX_RAW_QUERY} bytes")
    return raw


async def _read(operation: Operation, exchange: Exchange, receive: Receive) -> tuple[object, bytes]:
    raw = await read_body(exchange.headers, receive)
    if operation.optional_body and not raw:
        raw = b"{}"
    else:
        demand_json(exchange.headers)
    assert operation.body is not None
    return parse(operation.body, parse_json(raw)), raw
