"""Replies as bytes: the envelope of the Orbit face."""

from __future__ import annotations

from dataclasses import replace

from gateway.http.answers import Answer, FileSlice, Plain, Reply
from gateway.http.exchange import Exchange, to_json
from gateway.http.operation import Operation

Rendered = tuple[int, bytes, Reply]


def rendered(operation: Operation, exchange: Exchange, reply: Reply) -> Rendered:
    """Status and bytes of a reply, and the reply itself."""
    if isinstance(reply, FileSlice):
        return 206 if reply.partial else 200, b"", reply
    status = reply.status or operation.status
    if isinstance(reply, Plain):
        return status, reply.body, reply
    return status, envelope(exchange, reply), reply


def envelope(exchange: Exchange, answer: Answer) -> bytes:
    """``{data, meta{request_id, timestamp, pagination}}``."""
    meta = exchange.meta()
    page = answer.page
    if page is not None:
        meta["pagination"] = {"cursor": page.cursor, "has_more": page.has_more, "total": page.total}
    return to_json({"data": answer.data, **answer.beside, "meta": meta})


def concealed(answer: Answer, names: tuple[str, ...]) -> Answer:
    """The answer without members that are shown once only."""
    if not names or not isinstance(answer.data, dict):
        return answer
    return replace(answer, data={name: _without(name, value, names) for name, value in answer.data.items()})


def _without(name: str, value: object, names: tuple[str, ...]) -> object:
    if name in names:
        return None
    inner = tuple(one.removeprefix(f"{name}.") for one in names if one.startswith(f"{name}."))
    if not inner or not isinstance(value, list):
        return value
    return [{k: None if k in inner else v for k, v in item.items()} for item in value]
