"""Run colours, views, used login codes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_slots",
        sa.Column("sequence", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(1024), nullable=False),
        sa.Column("run_id", sa.String(1024), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_run_slots"),
        sa.UniqueConstraint("project", "run_id", name="uq_run_slots_run"),
    )
    op.create_index("ix_run_slots_recent", "run_slots", ["project", "sequence"])
    op.create_table(
        "views",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(1024), nullable=False),
        sa.Column("name", sa.String(1024), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_views"),
    )
    op.create_index("ix_views_project", "views", ["project"])
    op.create_table(
        "used_codes",
        sa.Column("nonce", sa.LargeBinary(8), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name="pk_used_codes"),
    )
    op.create_index("ix_used_codes_expires_at", "used_codes", ["expires_at"])
