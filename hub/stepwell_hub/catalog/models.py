"""The catalog's tables. A change here needs a migration in `versions/`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Names that Alembic can drop and change on both databases.
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


class RunSlot(Base):
    """A run's colour: one of 20, given once."""

    __tablename__ = "run_slots"

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(String(1024))
    run_id: Mapped[str] = mapped_column(String(1024))
    slot: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        UniqueConstraint("project", "run_id", name="uq_run_slots_run"),
        Index("ix_run_slots_recent", "project", "sequence"),
    )


class View(Base):
    """A saved state of a page."""

    __tablename__ = "views"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(String(1024), index=True)
    name: Mapped[str] = mapped_column(String(1024))
    query: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double)


class UsedCode(Base):
    """A login code that was used; kept until it would have expired."""

    __tablename__ = "used_codes"

    nonce: Mapped[bytes] = mapped_column(LargeBinary(8), primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class Sweep(Base):
    """A search over configs. A change of a sweep or its trials locks its row first.

    Attributes:
        config: JSON, with defaults filled in.
        next_number: of the next trial, from 1.
    """

    __tablename__ = "sweeps"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    project: Mapped[str] = mapped_column(String(1024))
    name: Mapped[str] = mapped_column(String(1024))
    description: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    config: Mapped[str] = mapped_column(Text)
    seed: Mapped[int] = mapped_column(BigInteger)
    next_number: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double)

    __table_args__ = (
        Index("ix_sweeps_created", "created_at", "id"),
        Index("ix_sweeps_project", "project", "created_at"),
    )


class SweepAgent(Base):
    """A process that asks a sweep for trials.

    Attributes:
        ended_at: when it said that it ends; null if it runs, or disappeared.
    """

    __tablename__ = "sweep_agents"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    sweep_id: Mapped[str] = mapped_column(String(8), index=True)
    host: Mapped[str] = mapped_column(String(1024))
    pid: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Double)
    seen_at: Mapped[float] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)


class Trial(Base):
    """One configuration of a sweep, as its newest attempt has it.

    Attributes:
        params: JSON.
        fencing: number of the newest attempt, from 1.
        lease_until: end of its agent's lease; then the trial may be handed out again.
        best, last, steps, bands: of the metric in the run: the best and the last finite value, how
            many there are, and as JSON the values at bands.
        is_settled: the trial ended and all its values are known.
        run_presence: of its run in the store: ``stored``, ``deleted`` (it was stored before), or
            "" until it is stored. A trial whose run was deleted has no values.
    """

    __tablename__ = "trials"

    sweep_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    params: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    fencing: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[str] = mapped_column(String(64))
    agent_id: Mapped[str] = mapped_column(String(16))
    lease_until: Mapped[float] = mapped_column(Double)
    stop_reason: Mapped[str] = mapped_column(String(32))
    best: Mapped[float | None] = mapped_column(Double)
    last: Mapped[float | None] = mapped_column(Double)
    steps: Mapped[int] = mapped_column(BigInteger)
    bands: Mapped[str] = mapped_column(Text)
    is_settled: Mapped[bool] = mapped_column(Boolean)
    run_presence: Mapped[str] = mapped_column(String(8), server_default="")
    exit_code: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[float] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (
        Index("ix_trials_state", "sweep_id", "state"),
        Index("ix_trials_unsettled", "is_settled", "sweep_id"),
    )


class Attempt(Base):
    """A trial in the hands of one agent: a run of its own."""

    __tablename__ = "trial_attempts"

    sweep_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    fencing: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(String(64), index=True)
    agent_id: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)


class SweepCommand(Base):
    """An order to a run, for daemons; forgotten after some minutes."""

    __tablename__ = "sweep_commands"
    # The number of a deleted row is never used again.
    __table_args__ = ({"sqlite_autoincrement": True},)

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(String(1024))
    run_id: Mapped[str] = mapped_column(String(64))
    command: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    sweep_id: Mapped[str] = mapped_column(String(8))
    number: Mapped[int] = mapped_column(Integer)
    fencing: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double, index=True)


class AnsweredKey(Base):
    """A request that was answered; the same key again gets the same answer, for a day."""

    __tablename__ = "answered_keys"

    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    answer: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double, index=True)


class ArtifactCollection(Base):
    """All versions of one artifact name. A change of them or their aliases locks its row first.

    Attributes:
        next_number: of the next version, from 0; a number is never used again.
    """

    __tablename__ = "artifact_collections"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project: Mapped[str] = mapped_column(String(1024))
    name: Mapped[str] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(128))
    next_number: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double)

    __table_args__ = (UniqueConstraint("project", "name", name="uq_artifact_collections_name"),)


class ArtifactVersion(Base):
    """One version, from its begin on.

    Attributes:
        key: of the request that began it.
        number: given at the commit.
        digest: of the manifest, which is in the blob store under ``id``.
        state: ``pending``, ``committed``, ``failed``, ``deleted``, or ``same``: it had the content
            of the version ``same_as``, which stands for it.
        reason: why it failed.
        attached: JSON, the metadata that a user attached.
        run_id: of the run that logged it, "" for none.
        has_manifest: the blob store may have its manifest.
    """

    __tablename__ = "artifact_versions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    collection_id: Mapped[int] = mapped_column(Integer)
    number: Mapped[int | None] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    same_as: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    attached: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    file_count: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[str] = mapped_column(String(1024))
    has_manifest: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[float] = mapped_column(Double)
    committed_at: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (
        UniqueConstraint("collection_id", "number", name="uq_artifact_versions_number"),
        Index("ix_artifact_versions_digest", "collection_id", "digest"),
        Index("ix_artifact_versions_state", "state", "created_at"),
    )


class ArtifactAlias(Base):
    """A name that moves between the versions of a collection."""

    __tablename__ = "artifact_aliases"

    collection_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    version_id: Mapped[str] = mapped_column(String(32), index=True)


class ArtifactRun(Base):
    """A run that logged or used a version: an edge of the lineage graph.

    Attributes:
        created_at: when it did so last. If a run with this id was deleted later than that, the row
            is of the deleted run.
    """

    __tablename__ = "artifact_runs"

    version_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project: Mapped[str] = mapped_column(String(1024), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(1024), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    created_at: Mapped[float] = mapped_column(Double)

    __table_args__ = (Index("ix_artifact_runs_run", "project", "run_id"),)


class Report(Base):
    """A text with panels, as it was saved last.

    Attributes:
        key: of the request that made it.
        size: bytes of ``text``.
        version: 1, and one more with each save.
    """

    __tablename__ = "reports"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    project: Mapped[str] = mapped_column(String(1024))
    title: Mapped[str] = mapped_column(String(256))
    text: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double)

    __table_args__ = (Index("ix_reports_project", "project", "updated_at", "id"),)


class ReportVersion(Base):
    """A report as it was before a save."""

    __tablename__ = "report_versions"

    report_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(String(256))
    text: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(Integer)
    saved_at: Mapped[float] = mapped_column(Double)


class ProjectDeletion(Base):
    """A project whose deletion was requested; its other rows in the catalog are deleted, too.

    Attributes:
        asked_at: later rows belong to a new project of the same name.
    """

    __tablename__ = "project_deletions"

    project: Mapped[str] = mapped_column(String(1024), primary_key=True)
    asked_at: Mapped[float] = mapped_column(Double, primary_key=True)
