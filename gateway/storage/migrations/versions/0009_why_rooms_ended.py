"""Rooms know why they ended; those whose time may be over are found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_PLANNED = "status = 'scheduled'"


def upgrade() -> None:
    op.add_column("rooms", sa.Column("why_ended", sa.String(), nullable=True))
    op.create_index(
        "ix_rooms_planned",
        "rooms",
        ["id"],
        sqlite_where=sa.text(_PLANNED),
        postgresql_where=sa.text(_PLANNED),
    )


def downgrade() -> None:
    op.drop_index("ix_rooms_planned", "rooms")
    with op.batch_alter_table("rooms") as batch_op:
        batch_op.drop_column("why_ended")
