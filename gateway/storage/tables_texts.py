"""The tables of texts: those that came in, those that go out, parked receipts, standings, attachments.

Bodies stay only while they are needed: an inbound text loses its body when it is judged, an outbound one
when it is sent or over. What is claimed becomes due again at ``next_at``, so a claim whose process died
ends by itself; ``claim`` counts claims, so that the dead one's outcome comes too late to count.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, SmallInteger, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from gateway.storage.columns import EpochMicros, json_type
from gateway.storage.tables import table_of


def _epoch(*, nullable: bool = False) -> Any:
    return Field(sa_type=EpochMicros, nullable=nullable)


def _json() -> Any:
    return Field(sa_column=Column(json_type(), nullable=True))


def _small() -> Any:
    return Field(sa_type=SmallInteger)


_WAITING = text("state = 'waiting'")
_HELD = text("state = 'held'")
_QUEUED = text("state = 'queued'")
_PROVIDED = text("provider_id <> ''")
_PARTS = text("part_total > 0")


class TextInRow(SQLModel, table=True):
    """A text that came in. ``state``: ``waiting`` to be judged, ``held`` as a part of an unfinished long
    text, ``done``. ``mark`` is a digest of a part's body: it knows a repetition when the body is gone."""

    __tablename__ = "texts_in"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("carrier", "message_id", name="uq_texts_in_message"),
        Index("ix_texts_in_due", "next_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index(
            "ix_texts_in_conversation",
            "recipient",
            "sender",
            "taken_at",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index("ix_texts_in_held", "next_at", sqlite_where=_HELD, postgresql_where=_HELD),
        Index(
            "ix_texts_in_parts",
            "recipient",
            "sender",
            "part_reference",
            sqlite_where=_PARTS,
            postgresql_where=_PARTS,
        ),
        Index("ix_texts_in_taken", "taken_at"),
    )
    id: str = Field(primary_key=True)
    carrier: str
    message_id: str
    sender: str
    recipient: str
    body: str
    media: list[Any] | None = _json()
    opt_out: str
    sent_at: float | None = _epoch(nullable=True)
    taken_at: float = _epoch()
    part_reference: int
    part_total: int = _small()
    part_number: int = _small()
    missing: list[Any] | None = _json()
    mark: str
    state: str
    outcome: str
    next_at: float = _epoch()
    claim: int


class TextOutRow(SQLModel, table=True):
    """A text that goes out. ``state`` is a ``ReceiptState``; ``recipient`` a number or ``phone:…``; ``lane``
    the carrier and the sender in one, so that lanes can be stepped through by an index."""

    __tablename__ = "texts_out"
    __table_args__: ClassVar[Any] = (
        Index(
            "ix_texts_out_lane",
            "lane",
            "next_at",
            sqlite_where=_QUEUED,
            postgresql_where=_QUEUED,
        ),
        Index(
            "ix_texts_out_conversation",
            "recipient",
            "sender",
            "queued_at",
            sqlite_where=_QUEUED,
            postgresql_where=_QUEUED,
        ),
        Index("ix_texts_out_expires", "expires_at", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index(
            "ix_texts_out_provider",
            "carrier",
            "provider_id",
            sqlite_where=_PROVIDED,
            postgresql_where=_PROVIDED,
        ),
        Index("ix_texts_out_queued", "queued_at"),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    interaction_id: str
    lane: str
    carrier: str
    sender: str
    recipient: str
    body: str
    media: list[Any] | None = _json()
    state: str
    error: str
    provider_id: str
    attempts: int
    queued_at: float = _epoch()
    next_at: float = _epoch()
    expires_at: float = _epoch()
    changed_at: float = _epoch()
    claim: int


class TextReceiptRow(SQLModel, table=True):
    """A receipt for a text that is not known yet: it overtook the carrier's answer to our own request."""

    __tablename__ = "text_receipts"
    __table_args__: ClassVar[Any] = (Index("ix_text_receipts_parked", "parked_at"),)
    carrier: str = Field(primary_key=True)
    provider_id: str = Field(primary_key=True)
    state: str = Field(primary_key=True)
    error: str
    at: float | None = _epoch(nullable=True)
    parked_at: float = _epoch()


class TextStandingRow(SQLModel, table=True):
    """Whether a person takes texts of a tenant, and when HELP was answered last."""

    __tablename__ = "text_standings"
    tenant_id: str = Field(primary_key=True)
    participant: str = Field(primary_key=True)
    opted_out: bool
    helped_at: float | None = _epoch(nullable=True)
    changed_at: float = _epoch()


class TextMediaRow(SQLModel, table=True):
    """An attachment in the media folder, of an outbound text."""

    __tablename__ = "text_media"
    __table_args__: ClassVar[Any] = (
        Index("ix_text_media_created", "created_at"),
        Index("uq_text_media_file", "file", unique=True),
    )
    id: str = Field(primary_key=True)
    tenant_id: str
    text_id: str
    file: str
    content_type: str
    size: int = Field(sa_type=BigInteger)
    created_at: float = _epoch()


TEXTS_IN = table_of(TextInRow)
TEXTS_OUT = table_of(TextOutRow)
TEXT_RECEIPTS = table_of(TextReceiptRow)
TEXT_STANDINGS = table_of(TextStandingRow)
TEXT_MEDIA = table_of(TextMediaRow)
