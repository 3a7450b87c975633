"""What an endpoint gives back; the operation turns it into bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.http.exchange import Headers


@dataclass(frozen=True, slots=True)
class PageMeta:
    """Where a list stands: the ``pagination`` member."""

    cursor: str | None
    has_more: bool
    total: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The ``data`` member. ``status`` None takes the operation's own. ``beside``: other members than it."""

    data: object
    page: PageMeta | None = None
    status: int | None = None
    headers: Headers = ()
    beside: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer outside the envelope: a document, metrics, or nothing at all."""

    body: bytes
    content_type: bytes
    status: int | None = None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes ``start`` to ``end`` (included) of a file of ``size`` bytes."""

    path: Path
    size: int
    start: int
    end: int
    content_type: bytes
    partial: bool
    name: str


Reply = Answer | Plain | FileSlice
