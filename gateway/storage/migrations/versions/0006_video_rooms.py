"""Video rooms: rooms, rosters, invites, bans, claims of identities, and the reports already taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OPENS = "pin <> '' AND status <> 'ended'"
_HERE = "presence IN ('joined', 'waiting') AND sid <> ''"
_UNFINISHED = "status = 'live' OR (status = 'ended' AND gone_at IS NULL)"


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host_user_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("live_name", sa.String(), nullable=False),
        sa.Column("room_sid", sa.String(), nullable=True),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.Column("recording_enabled", sa.Boolean(), nullable=False),
        sa.Column("recording_url", sa.String(), nullable=True),
        sa.Column("max_participants", sa.Integer(), nullable=False),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("waiting_room", sa.Boolean(), nullable=False),
        sa.Column("recurrence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("pin", sa.String(), nullable=False),
        sa.Column("listed_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_rooms_tenant"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("live_name", name="uq_rooms_live_name"),
    )
    op.create_index(
        "uq_rooms_pin",
        "rooms",
        ["pin"],
        unique=True,
        sqlite_where=sa.text(_OPENS),
        postgresql_where=sa.text(_OPENS),
    )
    op.create_index("ix_rooms_page", "rooms", ["tenant_id", "status", "listed_at", "id"])
    op.create_index("ix_rooms_listed", "rooms", ["tenant_id", "listed_at", "id"])
    op.create_index(
        "ix_rooms_unfinished",
        "rooms",
        ["id"],
        unique=False,
        sqlite_where=sa.text(_UNFINISHED),
        postgresql_where=sa.text(_UNFINISHED),
    )
    op.create_table(
        "room_people",
        sa.Column("room_id", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("presence", sa.String(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=True),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.Column("muted", sa.Boolean(), nullable=False),
        sa.Column("hand_raised", sa.Boolean(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=True),
        sa.Column("why_left", sa.String(), nullable=True),
        sa.Column("sid", sa.String(), nullable=False),
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("admitted", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name="fk_room_people_room"),
        sa.PrimaryKeyConstraint("room_id", "identity"),
    )
    op.create_index(
        "ix_room_people_here",
        "room_people",
        ["session"],
        unique=False,
        sqlite_where=sa.text(_HERE),
        postgresql_where=sa.text(_HERE),
    )
    op.create_table(
        "room_invites",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("room_id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("participant_name", sa.String(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("max_uses", sa.Integer(), nullable=True),
        sa.Column("uses_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["rooms.id"], name="fk_room_invites_room"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token", name="uq_room_invites_token"),
    )
    op.create_index("ix_room_invites_page", "room_invites", ["room_id", "created_at", "id"])
    op.create_table(
        "room_bans",
        sa.Column("live_name", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("live_name", "identity"),
    )
    op.create_index("ix_room_bans_at", "room_bans", ["at"])
    op.create_table(
        "room_claims",
        sa.Column("live_name", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("live_name", "identity"),
    )
    op.create_index("ix_room_claims_until", "room_claims", ["until"])
    op.create_table(
        "room_reports",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_room_reports_at", "room_reports", ["at"])


def downgrade() -> None:
    for table in ("room_reports", "room_claims", "room_bans", "room_invites", "room_people", "rooms"):
        op.drop_table(table)
