"""The moment at which an agent of a sweep said that it ends."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sweep_agents", sa.Column("ended_at", sa.Double(), nullable=True))
