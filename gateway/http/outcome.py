"""How an operation ends: with its reply, or with an error as this operation tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.http.answers import Reply
from gateway.http.errors import OperationFailed, status_of
from gateway.http.operation import Ask, Operation
from telephony.errors import InvalidInput, MalformedRequest

_MISSING: Final = "MISSING_REQUIRED_FIELD"
"""A code that goes with 422 alone."""


async def carry_out(operation: Operation, ask: Ask) -> Reply:
    """Serve it. A defect is told by the operation's own code, where it has one."""
    try:
        with judged(operation):
            return await operation.serve(ask)
    except Exception as error:  # why: whatever it was; the front still logs it whole, as the cause
        if not operation.failure or status_of(error) != 500:
            raise
        raise OperationFailed(code=operation.failure) from error


@contextmanager
def judged(operation: Operation) -> Iterator[None]:
    """What is wrong with the request is told with the status that this operation has for it."""
    try:
        yield
    except InvalidInput as error:
        if operation.invalid != 400 or isinstance(error, MalformedRequest):
            raise
        raise MalformedRequest(
            error.message,
            field=error.field,
            value=error.value,
            expected=error.expected,
            code=None if error.code == _MISSING else error.code,
        ) from None
