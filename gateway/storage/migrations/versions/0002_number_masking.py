"""Number masking: pool, sessions, bindings, interactions, settings."""

from __future__ import annotations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by the tables of this step."""


def downgrade() -> None:
    """Filled by the tables of this step."""
