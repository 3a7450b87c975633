"""Alembic's entry: the caller brings the connection and its transaction (``gateway.storage.migrate``)."""

from __future__ import annotations

from alembic import context

from gateway.storage.models import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
