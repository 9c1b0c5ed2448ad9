"""Artifacts: collections, versions, aliases, and the runs that logged or used them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artifact_collections",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(1024), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("type", sa.String(128), nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_artifact_collections"),
        sa.UniqueConstraint("project", "name", name="uq_artifact_collections_name"),
    )
    op.create_table(
        "artifact_versions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("same_as", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("attached", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(1024), nullable=False),
        sa.Column("has_manifest", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("committed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_artifact_versions"),
        sa.UniqueConstraint("key", name="uq_artifact_versions_key"),
        sa.UniqueConstraint("collection_id", "number", name="uq_artifact_versions_number"),
    )
    op.create_index("ix_artifact_versions_digest", "artifact_versions", ["collection_id", "digest"])
    op.create_index("ix_artifact_versions_state", "artifact_versions", ["state", "created_at"])
    op.create_table(
        "artifact_aliases",
        sa.Column("collection_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "name", name="pk_artifact_aliases"),
    )
    op.create_index("ix_artifact_aliases_version_id", "artifact_aliases", ["version_id"])
    op.create_table(
        "artifact_runs",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("project", sa.String(1024), nullable=False),
        sa.Column("run_id", sa.String(1024), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "project", "run_id", "kind", name="pk_artifact_runs"),
    )
    op.create_index("ix_artifact_runs_run", "artifact_runs", ["project", "run_id"])
