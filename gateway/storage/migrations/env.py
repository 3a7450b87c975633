"""Alembic's entry: the caller brings the connection and its transaction (``gateway.storage.migrate``)."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import String

from gateway.storage.columns import EpochMicros, UtcMicros
from gateway.storage.models import METADATA


def render(kind: str, item: Any, autogen_context: object) -> str | Literal[False]:
    """Migrations are frozen: they name plain SQL types, never ours, which may change after them."""
    if kind == "type" and isinstance(item, UtcMicros | EpochMicros):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(getattr(item, "impl", None), String):
        return "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    render_item=render,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
