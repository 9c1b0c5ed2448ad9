"""Whether the store has the run of a trial, or had it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "trials", sa.Column("run_presence", sa.String(8), nullable=False, server_default="")
    )
    op.execute("UPDATE trials SET run_presence = 'stored' WHERE steps > 0")
