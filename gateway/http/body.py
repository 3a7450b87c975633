"""Reads a JSON body: bounded in bytes, time and depth, without duplicate keys.

orjson decides whether it is JSON at all (RFC 8259: UTF-8, no NaN, no lone surrogates); duplicates, which
it would merge in silence, are found by a second reading.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

import orjson
from starlette.types import Receive

from gateway.http.errors import PayloadTooLarge, RequestTooSlow, UnsupportedMediaType
from telephony.errors import MalformedRequest

MAX_BODY: Final = 64 * 1024
MAX_DEPTH: Final = 16
READ_DEADLINE_S: Final = 10.0


class ClientGone(Exception):  # why: not an error of the request, there is nobody to tell
    """The client closed the connection before its body was whole."""


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int = MAX_BODY) -> bytes:
    """The whole body. Raises PayloadTooLarge beyond ``limit`` bytes, RequestTooSlow, ClientGone."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(READ_DEADLINE_S):
            body = await _gather(receive, limit)
    except TimeoutError:
        raise RequestTooSlow from None
    if len(body) > limit:
        raise _too_large(limit)
    return body


async def _gather(receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    while size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if not message.get("more_body"):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {limit} bytes")


def demand_json(headers: dict[bytes, bytes]) -> None:
    """Raises UnsupportedMediaType unless the body is declared as JSON in UTF-8, uncompressed."""
    kind, _, parameter = headers.get(b"content-type", b"").partition(b";")
    if kind.strip().lower() != b"application/json":
        raise UnsupportedMediaType("send the body as Content-Type: application/json")
    if parameter.strip() and parameter.strip().lower().replace(b'"', b"") != b"charset=utf-8":
        raise UnsupportedMediaType("send the body in UTF-8")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise UnsupportedMediaType("send the body uncompressed")


def demand_form(headers: dict[bytes, bytes]) -> None:
    """Raises UnsupportedMediaType unless the body is declared as a form."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/x-www-form-urlencoded":
        raise UnsupportedMediaType("send the body as Content-Type: application/x-www-form-urlencoded")


def parse_json(body: bytes) -> object:
    """The value of a JSON text. Raises MalformedRequest: not JSON, too deep, or a key given twice."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(
            f"the body is not JSON: line {error.lineno}, column {error.colno}", expected="JSON in UTF-8"
        ) from None
    _check_depth(value)
    json.loads(body, object_pairs_hook=_refuse_twins, parse_int=_unread, parse_float=_unread)
    return value


def _check_depth(value: object) -> None:
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        layer = [inner for outer in layer for inner in _children(outer)]
        if not layer:
            return
    raise MalformedRequest("the body is nested too deep", expected=f"at most {MAX_DEPTH} levels")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [v for v in value.values() if isinstance(v, dict | list)]
    if isinstance(value, list):
        return [v for v in value if isinstance(v, dict | list)]
    return []


def _refuse_twins(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise MalformedRequest(
                f"the key {key[:60]!r} is given twice", field=key[:60], expected="each key once"
            )
        seen.add(key)


def _unread(_: str) -> None:
    """Numbers were read by orjson already."""
