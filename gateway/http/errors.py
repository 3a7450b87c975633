"""Errors as the Orbit face tells them: one table from the tree to statuses, one shape.

What the tree of ``telephony.errors`` does not know, because only HTTP does, hangs below it here.
An error that is nobody's on purpose becomes a 500 that says nothing of its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy_pool.core.choice import Exhausted
from telephony import errors as tree
from telephony.errors import PatchbayError
from telephony.numbers import mask, mask_text


class PayloadTooLarge(PatchbayError):
    """The body is larger than allowed."""

    code = "PAYLOAD_TOO_LARGE"


class UnsupportedMediaType(PatchbayError):
    """The body is not application/json."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class MethodNotAllowed(PatchbayError):
    """The address knows other methods only."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__("this address knows " + ", ".join(allowed))
        self.allowed = allowed


class RequestTooSlow(PatchbayError):
    """The body did not arrive in time."""

    code = "REQUEST_TIMEOUT"


class RangeNotSatisfiable(PatchbayError):
    """The range lies outside the file."""

    code = "RANGE_NOT_SATISFIABLE"

    def __init__(self, size: int) -> None:
        super().__init__("the range lies outside the file")
        self.size = size


class SignatureRefused(PatchbayError):
    """The link's signature is wrong, or its time is over."""

    code = "INVALID_SIGNATURE"


class IdempotencyMismatch(tree.InvalidInput):
    """The Idempotency-Key was used for another request."""

    code = "IDEMPOTENCY_MISMATCH"


class IdempotencyInProgress(tree.Conflict):
    """The same request is being carried out right now."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class OperationFailed(PatchbayError):
    """A defect on our side, in an operation that has a code of its own for it."""


class Overdue(PatchbayError):
    """The request took too long; whether it had its effect is not known."""

    code = "OUTCOME_UNKNOWN"


STATUS: Final[dict[type[PatchbayError], int]] = {
    tree.MalformedRequest: 400,
    tree.NotAuthenticated: 401,
    tree.NotPermitted: 403,
    SignatureRefused: 403,
    tree.NotFound: 404,
    MethodNotAllowed: 405,
    RequestTooSlow: 408,
    tree.Conflict: 409,
    Exhausted: 409,
    PayloadTooLarge: 413,
    UnsupportedMediaType: 415,
    RangeNotSatisfiable: 416,
    tree.InvalidInput: 422,
    tree.UnsafeValue: 422,
    tree.TooMany: 429,
    tree.SwitchRefused: 502,
    tree.Unavailable: 503,
    tree.OutcomeUnknown: 504,
    Overdue: 504,
    PatchbayError: 500,
}
"""The one table. An error takes the status of its nearest ancestor here."""

_INTERNAL: Final = "something went wrong on our side"
_SHOWN_CHARS: Final = 100
_DIALABLE: Final = 10**6
"""From here on a plain number could be somebody's: E.164 has no shorter ones."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error ready to be sent: the ``error`` member, its status and headers of its own."""

    status: int
    code: str
    error: dict[str, object]
    headers: tuple[tuple[bytes, bytes], ...] = ()


def status_of(error: BaseException) -> int:
    """The HTTP status of any exception; 500 for what is not of the tree."""
    return status_of_kind(type(error))


def status_of_kind(kind: type[BaseException]) -> int:
    """The HTTP status of a kind of exception."""
    for ancestor in kind.__mro__:
        status = STATUS.get(ancestor)
        if status is not None:
            return status
    return 500


def describe(error: BaseException, *, whole: bool = True) -> ErrorReply:
    """How an exception is told. Texts of exceptions outside the tree never leave the process.

    Without ``whole``, what looks like a telephone number is masked, in what was given too.
    """
    status = status_of(error)
    if not isinstance(error, PatchbayError) or status == 500:
        own = error.code if isinstance(error, OperationFailed) else PatchbayError.code
        return _reply(status, own, _INTERNAL, {})
    message, details = error.message, _details(error)
    if not whole:
        message = mask_text(message)
        details |= {name: _masked(details[name]) for name in ("field", "value") if name in details}
    return _reply(status, error.code, message, details, _headers(error))


def _masked(shown: object) -> object:
    if isinstance(shown, int | float) and abs(shown) >= _DIALABLE:
        return mask(str(shown))
    return mask_text(shown) if isinstance(shown, str) else shown


def _reply(
    status: int,
    code: str,
    message: str,
    details: dict[str, object],
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> ErrorReply:
    error: dict[str, object] = {"code": code, "message": message, "status": status, "details": details}
    return ErrorReply(status, code, error, headers)


def _details(error: PatchbayError) -> dict[str, object]:
    if isinstance(error, tree.InvalidInput):
        return {"field": error.field, "value": shown_value(error.value), "expected": error.expected}
    if isinstance(error, tree.TooMany):
        return {"retry_after": error.retry_after_s, "limit": error.limit, "window": error.window}
    if isinstance(error, tree.Unavailable):
        return {"retry_after": error.retry_after_s}
    if isinstance(error, Exhausted):
        bucket = {"use": error.use, "country": error.country, "area": error.area}
        return {"constraint": error.constraint, "shortfall": error.shortfall, "bucket": bucket}
    return {}


def _headers(error: PatchbayError) -> tuple[tuple[bytes, bytes], ...]:
    match error:
        case tree.TooMany() | tree.Unavailable():
            return ((b"retry-after", b"%d" % error.retry_after_s),)
        case tree.NotAuthenticated():
            return ((b"www-authenticate", b'Bearer realm="patchbay"'),)
        case MethodNotAllowed():
            return ((b"allow", ", ".join(error.allowed).encode()),)
        case RangeNotSatisfiable():
            return ((b"content-range", b"bytes */%d" % error.size),)
        case PayloadTooLarge() | RequestTooSlow():
            return ((b"connection", b"close"),)
        case _:
            return ()


def shown_value(value: object) -> object:
    """A refused value as it may be shown back: scalars, long texts cut, containers by name only."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**53) < value < 2**53 else "a number beyond 2^53"
    if isinstance(value, str):
        clean = value.encode("utf-8", "replace").decode()
        return clean if len(clean) <= _SHOWN_CHARS else clean[:_SHOWN_CHARS] + "…"
    return type(value).__name__
