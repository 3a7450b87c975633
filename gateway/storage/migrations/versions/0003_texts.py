"""Text messages: in, out, receipts, parts, opt-outs, media."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('text_media',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('text_id', sa.String(), nullable=False),
    sa.Column('file', sa.String(), nullable=False),
    sa.Column('content_type', sa.String(), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('text_media', schema=None) as batch_op:
        batch_op.create_index('ix_text_media_created', ['created_at'], unique=False)
        batch_op.create_index('uq_text_media_file', ['file'], unique=True)

    op.create_table('text_receipts',
    sa.Column('carrier', sa.String(), nullable=False),
    sa.Column('provider_id', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('error', sa.String(), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=True),
    sa.Column('parked_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('carrier', 'provider_id', 'state')
    )
    with op.batch_alter_table('text_receipts', schema=None) as batch_op:
        batch_op.create_index('ix_text_receipts_parked', ['parked_at'], unique=False)

    op.create_table('text_standings',
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('participant', sa.String(), nullable=False),
    sa.Column('opted_out', sa.Boolean(), nullable=False),
    sa.Column('helped_at', sa.BigInteger(), nullable=True),
    sa.Column('changed_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'participant')
    )
    op.create_table('texts_in',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('carrier', sa.String(), nullable=False),
    sa.Column('message_id', sa.String(), nullable=False),
    sa.Column('sender', sa.String(), nullable=False),
    sa.Column('recipient', sa.String(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('media', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('opt_out', sa.String(), nullable=False),
    sa.Column('sent_at', sa.BigInteger(), nullable=True),
    sa.Column('taken_at', sa.BigInteger(), nullable=False),
    sa.Column('part_reference', sa.Integer(), nullable=False),
    sa.Column('part_total', sa.SmallInteger(), nullable=False),
    sa.Column('part_number', sa.SmallInteger(), nullable=False),
    sa.Column('missing', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('mark', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('next_at', sa.BigInteger(), nullable=False),
    sa.Column('claim', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('carrier', 'message_id', name='uq_texts_in_message')
    )
    with op.batch_alter_table('texts_in', schema=None) as batch_op:
        batch_op.create_index('ix_texts_in_conversation', ['recipient', 'sender', 'taken_at'], unique=False, sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'"))
        batch_op.create_index('ix_texts_in_due', ['next_at'], unique=False, sqlite_where=sa.text("state = 'waiting'"), postgresql_where=sa.text("state = 'waiting'"))
        batch_op.create_index('ix_texts_in_held', ['next_at'], unique=False, sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'"))
        batch_op.create_index('ix_texts_in_parts', ['recipient', 'sender', 'part_reference'], unique=False, sqlite_where=sa.text('part_total > 0'), postgresql_where=sa.text('part_total > 0'))
        batch_op.create_index('ix_texts_in_taken', ['taken_at'], unique=False)

    op.create_table('texts_out',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('tenant_id', sa.String(), nullable=False),
    sa.Column('interaction_id', sa.String(), nullable=False),
    sa.Column('lane', sa.String(), nullable=False),
    sa.Column('carrier', sa.String(), nullable=False),
    sa.Column('sender', sa.String(), nullable=False),
    sa.Column('recipient', sa.String(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('media', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('error', sa.String(), nullable=False),
    sa.Column('provider_id', sa.String(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('queued_at', sa.BigInteger(), nullable=False),
    sa.Column('next_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('changed_at', sa.BigInteger(), nullable=False),
    sa.Column('claim', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id')
    )
    with op.batch_alter_table('texts_out', schema=None) as batch_op:
        batch_op.create_index('ix_texts_out_conversation', ['recipient', 'sender', 'queued_at'], unique=False, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.create_index('ix_texts_out_expires', ['expires_at'], unique=False, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.create_index('ix_texts_out_lane', ['lane', 'next_at'], unique=False, sqlite_where=sa.text("state = 'queued'"), postgresql_where=sa.text("state = 'queued'"))
        batch_op.create_index('ix_texts_out_provider', ['carrier', 'provider_id'], unique=False, sqlite_where=sa.text("provider_id <> ''"), postgresql_where=sa.text("provider_id <> ''"))
        batch_op.create_index('ix_texts_out_queued', ['queued_at'], unique=False)


def downgrade() -> None:
    for table in ("texts_out", "texts_in", "text_standings", "text_receipts", "text_media"):
        op.drop_table(table)
