"""Reports in the catalog. Each function is one transaction.

A save names the version that it is based on. If another version was saved meanwhile, the save is
refused and nothing is lost: the other text stays, and the client keeps its own. The newest 50
earlier versions are kept.
"""

import secrets
from typing import Final

from sqlalchemy import delete as delete_rows
from sqlalchemy import select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stepwell_hub.catalog import models
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.errors import ApiError
from stepwell_hub.reports.answers import (
    Report,
    ReportOverview,
    ReportsPage,
    ReportVersion,
    ReportVersions,
)

VERSIONS_KEPT: Final = 50
_BETWEEN: Final = "~"


def create(
    catalog: Catalog, *, project: str, title: str, text: str, key: str, now: float
) -> Report:
    """Make a report, or return the one that the same key made.

    Raises:
        ApiError: The key made a report of another project.
    """
    try:
        return _create(catalog, project, title, text, key, now)
    except IntegrityError:  # Another hub was first with this key.
        return _create(catalog, project, title, text, key, now)


def read(catalog: Catalog, report_id: str) -> Report:
    """Return a report.

    Raises:
        ApiError: There is none.
    """
    with catalog.reading() as session:
        return _answer(_found(session, report_id))


def listed(catalog: Catalog, project: str | None, *, limit: int, cursor: str | None) -> ReportsPage:
    """Return a page of the reports of a project or of all, the one that was saved last first.

    Raises:
        ApiError: The cursor is not of this list.
    """
    row = models.Report
    # Without the texts, which may be large.
    wanted = select(
        row.id, row.project, row.title, row.version, row.size, row.created_at, row.updated_at
    )
    if project is not None:
        wanted = wanted.where(row.project == project)
    if cursor is not None:
        wanted = wanted.where(tuple_(row.updated_at, row.id) < tuple_(*_place(cursor)))
    wanted = wanted.order_by(row.updated_at.desc(), row.id.desc()).limit(limit + 1)
    with catalog.reading() as session:
        rows = [ReportOverview(*each) for each in session.execute(wanted)]
    kept = rows[:limit]
    following = None
    if len(rows) > limit:
        following = f"{kept[-1].updated_at.hex()}{_BETWEEN}{kept[-1].id}"
    return ReportsPage(tuple(kept), following)


def save(
    catalog: Catalog, report_id: str, *, version: int, title: str, text: str, now: float
) -> Report:
    """Save a report that is based on ``version``; the same save again changes nothing.

    Raises:
        ApiError: There is none, or another version was saved meanwhile.
    """
    with catalog.changing() as session:
        found = _found(session, report_id, lock=True)
        if (found.title, found.text) == (title, text) and version in (
            found.version,
            found.version - 1,
        ):
            return _answer(found)
        if version != found.version:
            raise ApiError(
                409,
                "report_changed",
                f"the report was saved as version {found.version}, but this text is based on "
                f"version {version}. Nothing was changed: read the newer version, merge both "
                f"texts and save with version {found.version}, or save this text as a new "
                "report",
                field="version",
            )
        session.add(
            models.ReportVersion(
                report_id=report_id,
                version=found.version,
                title=found.title,
                text=found.text,
                size=found.size,
                saved_at=found.updated_at,
            )
        )
        found.title, found.text, found.size = title, text, len(text.encode())
        found.version += 1
        # After a clock was set back, this save must still be newer than the one before.
        found.updated_at = max(now, found.updated_at)
        session.execute(
            delete_rows(models.ReportVersion).where(
                models.ReportVersion.report_id == report_id,
                models.ReportVersion.version < found.version - VERSIONS_KEPT,
            )
        )
        return _answer(found)


def delete(catalog: Catalog, report_id: str) -> None:
    """Delete a report with its versions.

    Raises:
        ApiError: There is none.
    """
    with catalog.changing() as session:
        session.delete(_found(session, report_id, lock=True))
        session.execute(
            delete_rows(models.ReportVersion).where(models.ReportVersion.report_id == report_id)
        )


def versions(catalog: Catalog, report_id: str) -> ReportVersions:
    """Return the kept versions of a report, the newest first.

    Raises:
        ApiError: There is no such report.
    """
    row = models.ReportVersion
    wanted = select(row.version, row.title, row.size, row.saved_at).where(
        row.report_id == report_id
    )
    with catalog.reading() as session:
        now = _found(session, report_id)
        earlier = session.execute(wanted.order_by(row.version.desc()))
        newest = ReportVersion(now.version, now.title, now.size, now.updated_at)
        return ReportVersions((newest, *(ReportVersion(*each) for each in earlier)))


def read_version(catalog: Catalog, report_id: str, version: int) -> Report:
    """Return a report as ``version`` had it.

    Raises:
        ApiError: There is no such version, or it is no longer kept.
    """
    with catalog.reading() as session:
        now = _found(session, report_id)
        if version == now.version:
            return _answer(now)
        found = session.get(models.ReportVersion, (report_id, version))
        if found is None:
            raise ApiError(
                404,
                "not_found",
                f"report {report_id} has no version {version}; the hub keeps the newest "
                f"{VERSIONS_KEPT} earlier ones",
            )
        return Report(
            id=now.id,
            project=now.project,
            title=found.title,
            text=found.text,
            version=found.version,
            created_at=now.created_at,
            updated_at=found.saved_at,
        )


# ---------------------------------------------------------------------- within one transaction


def _create(catalog: Catalog, project: str, title: str, text: str, key: str, now: float) -> Report:
    with catalog.changing() as session:
        known = session.execute(
            select(models.Report).where(models.Report.key == key)
        ).scalar_one_or_none()
        if known is not None:
            if known.project != project:
                raise ApiError(
                    409,
                    "key_reused",
                    f"this key was used for a report of the project {known.project}; use a "
                    "new key for each report",
                    field="key",
                )
            return _answer(known)
        made = models.Report(
            id=secrets.token_hex(4),
            key=key,
            project=project,
            title=title,
            text=text,
            size=len(text.encode()),
            version=1,
            created_at=now,
            updated_at=now,
        )
        session.add(made)
        return _answer(made)


def _found(session: Session, report_id: str, *, lock: bool = False) -> models.Report:
    wanted = select(models.Report).where(models.Report.id == report_id)
    # SQLite has no such lock and needs none: its transactions that write take turns.
    found = session.execute(wanted.with_for_update() if lock else wanted).scalar_one_or_none()
    if found is None:
        raise ApiError(404, "not_found", f"report {report_id} not found; it may have been deleted")
    return found


def _answer(row: models.Report) -> Report:
    return Report(
        id=row.id,
        project=row.project,
        title=row.title,
        text=row.text,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _place(cursor: str) -> tuple[float, str]:
    moment, _, report_id = cursor.partition(_BETWEEN)
    try:
        return float.fromhex(moment), report_id
    except (ValueError, OverflowError):
        raise ApiError(
            400, "cursor_invalid", "not a cursor of this list; begin without one", field="cursor"
        ) from None
