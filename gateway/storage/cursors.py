"""Cursors: where a page ended, sealed so that nobody can point elsewhere.

A cursor is base64url(body + tag). The body is JSON ``[microseconds, id]``; the tag is the first
16 bytes of HMAC-SHA256 over the scope (list, tenant, filter) and the body, so a cursor serves only the
list it came from. Any other text is MalformedRequest with code ``INVALID_CURSOR``.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final

import orjson

from telephony.errors import MalformedRequest

_TAG: Final = 16
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: its creation in microseconds, and its id."""

    micros: int
    id: str


@dataclass(frozen=True, slots=True)
class Cursors:
    """Seals and opens cursors with one secret."""

    secret: bytes = field(repr=False)

    def seal(self, position: Position, scope: str) -> str:
        """The cursor for going on behind ``position`` in the list that ``scope`` names."""
        body = orjson.dumps([position.micros, position.id])
        return urlsafe_b64encode(self._tag(body, scope) + body).rstrip(b"=").decode()

    def open(self, cursor: str, scope: str) -> Position:
        """The position in ``cursor``. Raises MalformedRequest unless it was sealed for this ``scope``."""
        sealed = _decode(cursor)
        tag, body = sealed[:_TAG], sealed[_TAG:]
        if not hmac.compare_digest(tag, self._tag(body, scope)):
            raise _invalid()
        micros, row_id = orjson.loads(body)
        return Position(micros, row_id)

    def _tag(self, body: bytes, scope: str) -> bytes:
        message = hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest() + body
        return hmac.digest(self.secret, message, "sha256")[:_TAG]


def _decode(cursor: str) -> bytes:
    """Strict: a text that decodes to the same bytes but is spelt differently is refused as well."""
    if not 0 < len(cursor) <= _LONGEST or not cursor.isascii():
        raise _invalid()
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise _invalid() from None
    if urlsafe_b64encode(sealed).rstrip(b"=").decode() != cursor:
        raise _invalid()
    return sealed


def _invalid() -> MalformedRequest:
    return MalformedRequest(
        "the cursor does not belong to this list",
        field="cursor",
        expected="the cursor of the page before, with the same filters",
        code="INVALID_CURSOR",
    )
