"""One effect for one Idempotency-Key.

The claim is stored before the endpoint runs, the answer after it. Answers below 500 are kept and given
again, byte for byte; 429 and 503 promise that nothing happened, so they let go of the key. After any
other failure nobody knows: the claim stays, and the next attempt after its lease has to look first.
Members shown once (secrets) are not kept: a replay has null in their place.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

import structlog

from gateway.http.answers import Answer, Plain
from gateway.http.errors import IdempotencyInProgress, IdempotencyMismatch, describe
from gateway.http.exchange import API_ONLY, Exchange
from gateway.http.operation import Ask, Operation
from gateway.http.outcome import carry_out
from gateway.http.render import Rendered, concealed, envelope, rendered
from gateway.storage.errors import WriteOutcomeUnknown
from gateway.storage.records import Claimed, InProgress, Mismatch, Replay
from telephony.errors import InvalidInput, PatchbayError, StorageUnavailable, TooMany, Unavailable

HEADER: Final = b"idempotency-key"
LONGEST: Final = 255
_REPLAYED: Final = (
    (b"idempotent-replayed", b"true"),
    (b"cache-control", b"no-store"),
    *API_ONLY,
)
_log = structlog.get_logger("gateway.http")


async def once(operation: Operation, ask: Ask, body: bytes) -> Rendered:
    """Carry a POST out, at most once for its Idempotency-Key if it has one."""
    exchange, face = ask.exchange, ask.face
    key = _key(exchange)
    resource_id = face.new_id(operation.id_prefix)
    if key is None:
        return rendered(operation, exchange, await carry_out(operation, _with(ask, resource_id)))
    tenant = ask.caller.tenant
    if ask.caller.call is not None:
        key = f"{ask.caller.call} {key}"  # a blank is in no key: an agent cannot use up its tenant's
    book = face.books.idempotency
    claim = await book.claim(tenant, key, fingerprint(operation, ask.path, body), resource_id, exchange.at)
    match claim:
        case Replay(status, kept):
            return status, kept, Plain(kept, b"application/json", status, _REPLAYED)
        case InProgress():
            raise IdempotencyInProgress
        case Mismatch():
            raise IdempotencyMismatch(
                "this Idempotency-Key was used for another request",
                field="Idempotency-Key",
                expected="a new key for a new request",
            )
        case Claimed(resource_id, again):
            return await _carry_out(operation, _with(ask, resource_id, again=again), key)


async def _carry_out(operation: Operation, ask: Ask, key: str) -> Rendered:
    exchange = ask.exchange
    try:
        reply = await carry_out(operation, ask)
    except WriteOutcomeUnknown:
        raise
    except (TooMany, Unavailable):
        await _let_go(ask, key)
        raise
    except PatchbayError as error:
        told = describe(error, whole=exchange.sees_numbers)
        if told.status < 500:
            await _keep(ask, key, told.status, exchange.error_body(told))
        raise
    status, body, reply = rendered(operation, exchange, reply)
    if isinstance(reply, Answer):
        kept = envelope(exchange, concealed(reply, operation.conceal)) if operation.conceal else body
        await _keep(ask, key, status, kept)
    return status, body, reply


async def _keep(ask: Ask, key: str, status: int, body: bytes) -> None:
    """The effect is there: an answer that cannot be kept is given all the same."""
    try:
        await ask.face.books.idempotency.complete(ask.caller.tenant, key, status, body)
    except StorageUnavailable:
        _log.warning("idempotency.not_kept", action="idempotency.keep")


async def _let_go(ask: Ask, key: str) -> None:
    try:
        await ask.face.books.idempotency.release(ask.caller.tenant, key)
    except StorageUnavailable:
        _log.warning("idempotency.not_released", action="idempotency.release")


def fingerprint(operation: Operation, path: dict[str, str], body: bytes) -> str:
    """What tells one request from another: the operation, its path's ids and the body's bytes."""
    parts = "\n".join([operation.name, *(f"{name}={path[name]}" for name in sorted(path))])
    return hashlib.sha256(parts.encode() + b"\n\n" + body).hexdigest()


def _key(exchange: Exchange) -> str | None:
    raw = exchange.headers.get(HEADER)
    if raw is None:
        return None
    printable = all(0x20 < byte < 0x7F for byte in raw)
    if not printable or not 0 < len(raw) <= LONGEST or HEADER in exchange.repeated:
        raise InvalidInput(
            "the Idempotency-Key cannot be used",
            field="Idempotency-Key",
            expected=f"one header of 1 to {LONGEST} printable ASCII characters without spaces",
        )
    return raw.decode("ascii")


def _with(ask: Ask, resource_id: str, *, again: bool = False) -> Ask:
    return replace(ask, resource_id=resource_id, again=again)
