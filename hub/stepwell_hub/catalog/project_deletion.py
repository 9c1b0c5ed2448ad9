"""The catalog's part in the deletion of a project. Each function is one transaction.

    ask ── (the store deletes the runs) ── delete_sweeps_and_reports ── delete_artifacts
        ── (manifests go) ── purge ── end

The note of ``ask`` stays if a hub is killed in between; a later hub continues. Versions that
runs of other projects logged or used are kept as deleted ones, only with their names: the lineage
of those runs shows them.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, exists, func, select, update
from sqlalchemy.orm import Session

from stepwell_hub.catalog.artifact_rows import DELETED, LIVE, add_once
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import (
    AnsweredKey,
    ArtifactAlias,
    ArtifactCollection,
    ArtifactRun,
    ArtifactVersion,
    Attempt,
    ProjectDeletion,
    Report,
    ReportVersion,
    Sweep,
    SweepAgent,
    SweepCommand,
    Trial,
    View,
)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion that is not finished."""

    project: str
    asked_at: float


def ask(catalog: Catalog, project: str, *, now: float) -> Deletion:
    """Note that a project is to be deleted; rows made after ``now`` are not deleted."""
    with catalog.changing() as session:
        add_once(session, ProjectDeletion, project=project, asked_at=now)
    return Deletion(project, now)


def unfinished(catalog: Catalog) -> list[Deletion]:
    """Return the deletions that have begun."""
    with catalog.reading() as session:
        rows = session.execute(select(ProjectDeletion).order_by(ProjectDeletion.asked_at))
        return [Deletion(each.project, each.asked_at) for each in rows.scalars()]


def end(catalog: Catalog, deletion: Deletion) -> None:
    """Forget a deletion: it is finished, or was refused."""
    with catalog.changing() as session:
        session.execute(
            delete(ProjectDeletion).where(
                ProjectDeletion.project == deletion.project,
                ProjectDeletion.asked_at == deletion.asked_at,
            )
        )


def delete_sweeps_and_reports(catalog: Catalog, deletion: Deletion) -> None:
    """Delete the sweeps, reports and saved views that a project had.

    The next ask of an agent of such a sweep is answered with an error, and the agent ends.
    """
    with catalog.changing() as session:
        sweeps = _locked(session, Sweep, deletion)
        for table in (SweepAgent, Trial, Attempt, SweepCommand):
            session.execute(delete(table).where(table.sweep_id.in_(sweeps)))
        named = func.substr(AnsweredKey.scope, 1, 9)  # `ID:ask` and the like; an id has 8.
        session.execute(delete(AnsweredKey).where(named.in_(_scopes(sweeps))))
        reports = _locked(session, Report, deletion)
        session.execute(delete(ReportVersion).where(ReportVersion.report_id.in_(reports)))
        for ids, texts in ((sweeps, Sweep), (reports, Report)):
            session.execute(delete(texts).where(texts.id.in_(ids)))
        session.execute(
            delete(View).where(
                View.project == deletion.project, View.created_at <= deletion.asked_at
            )
        )


def delete_artifacts(catalog: Catalog, deletion: Deletion) -> None:
    """Delete the versions that a project had; their manifests are not needed any more."""
    with catalog.changing() as session:
        versions = _versions(_locked(session, ArtifactCollection, deletion), deletion)
        session.execute(
            update(ArtifactVersion)
            .where(versions, ArtifactVersion.state.in_(LIVE))
            .values(state=DELETED, reason="its project was deleted")
        )
        session.execute(
            update(ArtifactVersion).where(versions).values(description="", attached="{}")
        )
        gone = select(ArtifactVersion.id).where(versions)
        session.execute(delete(ArtifactAlias).where(ArtifactAlias.version_id.in_(gone)))


def purge(catalog: Catalog, deletion: Deletion) -> None:
    """Remove the rows of versions whose manifests are gone."""
    with catalog.changing() as session:
        collections = _locked(session, ArtifactCollection, deletion)
        versions = _versions(collections, deletion)
        of_versions = ArtifactRun.version_id.in_(select(ArtifactVersion.id).where(versions))
        session.execute(
            delete(ArtifactRun).where(of_versions, ArtifactRun.project == deletion.project)
        )
        is_named = exists().where(ArtifactRun.version_id == ArtifactVersion.id)
        session.execute(
            delete(ArtifactVersion).where(versions, ~ArtifactVersion.has_manifest, ~is_named)
        )
        is_used = exists().where(ArtifactVersion.collection_id == ArtifactCollection.id)
        session.execute(
            delete(ArtifactCollection).where(ArtifactCollection.id.in_(collections), ~is_used)
        )


def _locked(
    session: Session, table: type[ArtifactCollection | Report | Sweep], deletion: Deletion
) -> Any:
    """Lock the rows that a project had; return a query for their ids."""
    wanted = select(table.id).where(
        table.project == deletion.project, table.created_at <= deletion.asked_at
    )
    session.execute(wanted.order_by(table.id).with_for_update()).all()
    return wanted


def _scopes(sweeps: Any) -> Any:
    """Return a query for the beginnings of the scopes of these sweeps' answered keys."""
    return select(Sweep.id + ":").where(Sweep.id.in_(sweeps))


def _versions(collections: Any, deletion: Deletion) -> Any:
    return and_(
        ArtifactVersion.collection_id.in_(collections),
        ArtifactVersion.created_at <= deletion.asked_at,
    )
