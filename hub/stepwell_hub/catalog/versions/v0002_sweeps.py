"""Sweeps: their trials, attempts, agents, commands, and the keys that were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def upgrade() -> None:
    op.create_table(
        "sweeps",
        _text("id", 8),
        _text("project", 1024),
        _text("name", 1024),
        sa.Column("description", sa.Text(), nullable=False),
        _text("state", 16),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        _number("next_number"),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sweeps"),
    )
    op.create_index("ix_sweeps_created", "sweeps", ["created_at", "id"])
    op.create_index("ix_sweeps_project", "sweeps", ["project", "created_at"])
    op.create_table(
        "sweep_agents",
        _text("id", 16),
        _text("sweep_id", 8),
        _text("host", 1024),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        _text("kind", 16),
        _moment("created_at"),
        _moment("seen_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sweep_agents"),
    )
    op.create_index("ix_sweep_agents_sweep_id", "sweep_agents", ["sweep_id"])
    op.create_table(
        "trials",
        _text("sweep_id", 8),
        _number("number"),
        sa.Column("params", sa.Text(), nullable=False),
        _text("state", 16),
        _number("fencing"),
        _text("run_id", 64),
        _text("agent_id", 16),
        _moment("lease_until"),
        _text("stop_reason", 32),
        sa.Column("best", sa.Double(), nullable=True),
        sa.Column("last", sa.Double(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("bands", sa.Text(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        _moment("created_at"),
        _moment("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("sweep_id", "number", name="pk_trials"),
    )
    op.create_index("ix_trials_state", "trials", ["sweep_id", "state"])
    op.create_index("ix_trials_unsettled", "trials", ["is_settled", "sweep_id"])
    op.create_table(
        "trial_attempts",
        _text("sweep_id", 8),
        _number("number"),
        _number("fencing"),
        _text("run_id", 64),
        _text("agent_id", 16),
        _text("state", 16),
        _moment("created_at"),
        _moment("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("sweep_id", "number", "fencing", name="pk_trial_attempts"),
    )
    op.create_table(
        "sweep_commands",
        sa.Column("sequence", sa.Integer(), autoincrement=True, nullable=False),
        _text("project", 1024),
        _text("run_id", 64),
        _text("command", 16),
        _text("reason", 32),
        _text("sweep_id", 8),
        _number("number"),
        _number("fencing"),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("sequence", name="pk_sweep_commands"),
        sqlite_autoincrement=True,  # The number of a deleted row must not be used again.
    )
    op.create_index("ix_sweep_commands_created_at", "sweep_commands", ["created_at"])
    op.create_table(
        "answered_keys",
        _text("scope", 64),
        _text("key", 64),
        sa.Column("answer", sa.Text(), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_answered_keys"),
    )
    op.create_index("ix_answered_keys_created_at", "answered_keys", ["created_at"])
