"""Deletions of projects that have begun, so that a later hub can finish them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project_deletions",
        sa.Column("project", sa.String(1024), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("project", "asked_at", name="pk_project_deletions"),
    )
