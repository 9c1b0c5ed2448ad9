"""From a run to the sweep that it belongs to."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_trial_attempts_run_id", "trial_attempts", ["run_id"])
