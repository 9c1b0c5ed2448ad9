"""Projects that the catalog knows: they have a sweep, a report or an artifact, and maybe no run."""

from sqlalchemy import exists, select, union

from stepwell_hub.catalog.artifact_rows import LIVE
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import ArtifactCollection, ArtifactVersion, Report, Sweep, View


def known_projects(catalog: Catalog) -> list[str]:
    """Return the names of the projects, sorted."""
    # Deleted versions stay for the lineage of other projects' runs.
    with_artifacts = (
        select(ArtifactCollection.project)
        .join(ArtifactVersion, ArtifactVersion.collection_id == ArtifactCollection.id)
        .where(ArtifactVersion.state.in_(LIVE))
    )
    names = union(select(Sweep.project), select(Report.project), with_artifacts)
    with catalog.reading() as session:
        return sorted(session.execute(names).scalars())


def is_known(catalog: Catalog, project: str) -> bool:
    """Return whether the catalog has rows of ``project``, which may have no runs."""
    collections = select(ArtifactCollection.id).where(ArtifactCollection.project == project)
    with catalog.reading() as session:
        return any(
            session.execute(select(exists().where(*conditions))).scalar()
            for conditions in (
                *((each.project == project,) for each in (Sweep, Report, View)),
                # Deleted versions stay for the lineage of other projects' runs.
                (
                    ArtifactVersion.collection_id.in_(collections),
                    ArtifactVersion.state.in_(LIVE),
                ),
            )
        )
