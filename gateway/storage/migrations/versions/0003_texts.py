"""Text messages: in, out, receipts, parts, opt-outs, media."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by the tables of this step."""


def downgrade() -> None:
    """Filled by the tables of this step."""
