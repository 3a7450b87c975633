"""Number masking: pool, sessions, bindings, interactions, settings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _proxy_interactions()
    _proxy_numbers()
    _proxy_sessions()
    _proxy_settings()
    _proxy_bindings()


def downgrade() -> None:
    for table in ("proxy_bindings", "proxy_settings", "proxy_sessions", "proxy_numbers", "proxy_interactions"):
        op.drop_table(table)


def _counted() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _proxy_interactions() -> None:
    op.create_table('proxy_interactions',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('session_id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('from_seat', sa.SmallInteger(), nullable=False),
    sa.Column('to_seat', sa.SmallInteger(), nullable=False),
    sa.Column('proxy', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('answered_at', sa.BigInteger(), nullable=True),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('duration_s', sa.Integer(), nullable=True),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('segments', sa.Integer(), nullable=False),
    sa.Column('flags', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('media', sa.Integer(), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('forgotten', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('proxy_interactions', schema=None) as batch_op:
        batch_op.create_index('ix_proxy_interactions_page', ['session_id', 'created_at', 'id'], unique=False)


def _proxy_numbers() -> None:
    op.create_table('proxy_numbers',
    sa.Column('seq', _counted(), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('e164', sa.String(), nullable=False),
    sa.Column('number_index', sa.Integer(), nullable=False),
    sa.Column('country', sa.String(), nullable=False),
    sa.Column('area', sa.String(), nullable=False),
    sa.Column('capabilities', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('use', sa.String(), nullable=False),
    sa.Column('reserved', sa.Boolean(), nullable=False),
    sa.Column('suspended', sa.Boolean(), nullable=False),
    sa.Column('carrier', sa.String(), nullable=False),
    sa.Column('removed', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('seq')
    )
    with op.batch_alter_table('proxy_numbers', schema=None) as batch_op:
        batch_op.create_index('uq_proxy_numbers_active', ['e164'], unique=True, sqlite_where=sa.text('removed = false'), postgresql_where=sa.text('removed = false'))
        batch_op.create_index('uq_proxy_numbers_id', ['id'], unique=True, sqlite_where=sa.text('removed = false'), postgresql_where=sa.text('removed = false'))
        batch_op.create_index('uq_proxy_numbers_index', ['tenant_id', 'number_index'], unique=True)


def _proxy_sessions() -> None:
    op.create_table('proxy_sessions',
    sa.Column('seq', _counted(), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('participants', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('terms', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('metadata', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('extension', sa.String(), nullable=True),
    sa.Column('unique_name', sa.String(), nullable=True),
    sa.Column('webhook_url', sa.String(), nullable=True),
    sa.Column('api_key_id', sa.String(), nullable=True),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.Column('ends_at', sa.BigInteger(), nullable=False),
    sa.Column('last_used_at', sa.BigInteger(), nullable=True),
    sa.Column('last_seat', sa.SmallInteger(), nullable=False),
    sa.Column('closed_at', sa.BigInteger(), nullable=True),
    sa.Column('close_reason', sa.String(), nullable=True),
    sa.Column('free_at', sa.BigInteger(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('interactions', sa.Integer(), nullable=False),
    sa.Column('told_expiring', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('seq')
    )
    with op.batch_alter_table('proxy_sessions', schema=None) as batch_op:
        batch_op.create_index('ix_proxy_sessions_ends', ['told_expiring', 'ends_at'], unique=False, sqlite_where=sa.text("status <> 'closed'"), postgresql_where=sa.text("status <> 'closed'"))
        batch_op.create_index('ix_proxy_sessions_named', ['tenant_id', 'unique_name'], unique=False, sqlite_where=sa.text('unique_name IS NOT NULL'), postgresql_where=sa.text('unique_name IS NOT NULL'))
        batch_op.create_index('ix_proxy_sessions_page', ['tenant_id', 'status', 'created_at', 'seq'], unique=False)
        batch_op.create_index('uq_proxy_sessions_id', ['id'], unique=True)
        batch_op.create_index('uq_proxy_sessions_name', ['tenant_id', 'unique_name'], unique=True, sqlite_where=sa.text("unique_name IS NOT NULL AND status <> 'closed'"), postgresql_where=sa.text("unique_name IS NOT NULL AND status <> 'closed'"))


def _proxy_settings() -> None:
    op.create_table('proxy_settings',
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('settings', sa.JSON(none_as_null=True), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id')
    )


def _proxy_bindings() -> None:
    op.create_table('proxy_bindings',
    sa.Column('seq', _counted(), autoincrement=True, nullable=False),
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('participant', sa.String(), nullable=False),
    sa.Column('proxy', sa.String(), nullable=False),
    sa.Column('number_index', sa.Integer(), nullable=False),
    sa.Column('session_seq', _counted(), nullable=False),
    sa.Column('seat', sa.SmallInteger(), nullable=False),
    sa.Column('hold', sa.SmallInteger(), nullable=False),
    sa.Column('until', sa.BigInteger(), nullable=True),
    sa.Column('peer', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['session_seq'], ['proxy_sessions.seq'], name='fk_proxy_bindings_session'),
    sa.PrimaryKeyConstraint('seq')
    )
    with op.batch_alter_table('proxy_bindings', schema=None) as batch_op:
        batch_op.create_index('ix_proxy_bindings_freed', ['tenant_id', 'participant'], unique=False, sqlite_where=sa.text('hold = 0'), postgresql_where=sa.text('hold = 0'))
        batch_op.create_index('ix_proxy_bindings_number', ['proxy', 'hold'], unique=False, sqlite_where=sa.text('hold > 0'), postgresql_where=sa.text('hold > 0'))
        batch_op.create_index('ix_proxy_bindings_session', ['session_seq'], unique=False)
        batch_op.create_index('ix_proxy_bindings_until', ['hold', 'until'], unique=False, sqlite_where=sa.text('until IS NOT NULL'), postgresql_where=sa.text('until IS NOT NULL'))
        batch_op.create_index('uq_proxy_bindings_held', ['tenant_id', 'participant', 'proxy'], unique=True, sqlite_where=sa.text('hold > 0'), postgresql_where=sa.text('hold > 0'))

