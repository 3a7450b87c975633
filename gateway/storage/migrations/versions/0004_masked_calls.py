"""Calls know the masking session that they belong to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("session_id", sa.String(), nullable=True))
    op.add_column("calls", sa.Column("seat", sa.Integer(), server_default="-1", nullable=False))
    op.add_column("calls", sa.Column("to_seat", sa.Integer(), server_default="-1", nullable=False))
    op.add_column("calls", sa.Column("private", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(
        "ix_calls_session",
        "calls",
        ["tenant_id", "session_id", "id"],
        unique=False,
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_calls_session", table_name="calls")
    with op.batch_alter_table("calls") as batch_op:
        for name in ("private", "to_seat", "seat", "session_id"):
            batch_op.drop_column(name)
