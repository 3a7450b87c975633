"""Calls know the masking session that they belong to."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by the tables of this step."""


def downgrade() -> None:
    """Filled by the tables of this step."""
