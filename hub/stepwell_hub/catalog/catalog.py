"""The open catalog: SQLite in WAL mode beside the store, or PostgreSQL.

Every method blocks and may be called from any thread.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, delete, event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from stepwell_hub.catalog.migrate import migrate
from stepwell_hub.catalog.models import RunSlot, UsedCode, View
from stepwell_hub.catalog.slots import next_slot
from stepwell_hub.errors import CatalogUnavailableError
from stepwell_wire.hub_access import CATALOG_FILE, LoginCode, catalog_remedy

RECENT_RUNS: Final = 20
_BUSY_SECONDS: Final = 10.0
_BUSY_PAUSE_SECONDS: Final = 0.01
_BUSY_CODES: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_KNOWN_MAX: Final = 100_000
# Time limits to detect a server that disappeared: in seconds, the last in milliseconds.
_POSTGRESQL: Final = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Catalog:
    """Small data that must be consistent."""

    def __init__(self, url: str, *, where: str) -> None:
        """
        Args:
            url: of SQLAlchemy.
            where: its name in messages.
        """
        self._where = where
        self._engine = _engine(url)
        self._lock = threading.Lock()
        self._is_migrated = False
        self._slots: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        self._engine.dispose()

    def ping(self) -> None:
        """Check that the database answers.

        Raises:
            CatalogUnavailableError: It does not answer.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    # ------------------------------------------------------------------ login codes

    def use_code(self, code: LoginCode) -> bool:
        """Note that ``code`` is used; return False when it was before."""
        try:
            with self.changing() as session:
                session.execute(delete(UsedCode).where(UsedCode.expires_at < int(time.time())))
                session.add(UsedCode(nonce=code.nonce, expires_at=code.expires_at))
        except IntegrityError:
            return False
        return True

    # ------------------------------------------------------------------ colours

    def slots(self, project: str, run_ids: Sequence[str]) -> dict[str, int]:
        """Return each run's colour slot, 0 to 19; runs without get one, in the order given."""
        known = {run: self._slots.get((project, run)) for run in run_ids}
        unknown = [run for run, slot in known.items() if slot is None]
        if unknown:
            try:
                found = self._assign(project, unknown)
            except IntegrityError:  # Another hub was first with one of them.
                found = self._assign(project, unknown)
            if len(self._slots) + len(found) > _KNOWN_MAX:
                self._slots.clear()
            self._slots |= {(project, run): slot for run, slot in found.items()}
            known |= found
        return {run: slot for run, slot in known.items() if slot is not None}

    def projects_with_slots(self) -> list[str]:
        """Return the projects whose runs have slots."""
        with self.reading() as session:
            return list(session.execute(select(RunSlot.project).distinct()).scalars())

    def runs_with_slots(self, project: str) -> list[str]:
        """Return the runs of ``project`` that have slots."""
        with self.reading() as session:
            found = select(RunSlot.run_id).where(RunSlot.project == project)
            return list(session.execute(found).scalars())

    def forget_runs(self, project: str, run_ids: Sequence[str]) -> None:
        """Take back the slots of runs that were deleted; a few thousand at most."""
        for run_id in run_ids:
            self._slots.pop((project, run_id), None)
        with self.changing() as session:
            session.execute(
                delete(RunSlot).where(RunSlot.project == project, RunSlot.run_id.in_(run_ids))
            )

    def forget_project(self, project: str) -> None:
        """Take back the slots of a project that was deleted."""
        self._slots = {run: slot for run, slot in self._slots.items() if run[0] != project}
        with self.changing() as session:
            session.execute(delete(RunSlot).where(RunSlot.project == project))

    def _assign(self, project: str, run_ids: list[str]) -> dict[str, int]:
        with self.changing() as session:
            rows = session.execute(
                select(RunSlot.run_id, RunSlot.slot).where(
                    RunSlot.project == project, RunSlot.run_id.in_(run_ids)
                )
            )
            found = {run_id: slot for run_id, slot in rows}
            if len(found) < len(run_ids):
                recent = list(
                    session.execute(
                        select(RunSlot.slot)
                        .where(RunSlot.project == project)
                        .order_by(RunSlot.sequence.desc())
                        .limit(RECENT_RUNS)
                    ).scalars()
                )[::-1]
                for run_id in run_ids:
                    if run_id not in found:
                        found[run_id] = slot = next_slot(recent)
                        recent = [*recent, slot][-RECENT_RUNS:]
                        session.add(RunSlot(project=project, run_id=run_id, slot=slot))
                        session.flush()  # The database numbers the rows in this order.
            return found

    # ------------------------------------------------------------------ views

    def save_view(self, *, project: str, name: str, query: str) -> dict[str, Any]:
        """Keep a view and return it with its new id."""
        now = time.time()
        with self.changing() as session:
            view = View(
                id=secrets.token_urlsafe(6),
                project=project,
                name=name,
                query=query,
                created_at=now,
                updated_at=now,
            )
            session.add(view)
            return _as_dict(view)

    def change_view(self, view_id: str, *, name: str, query: str) -> dict[str, Any] | None:
        """Change a view and return it, None where there is none."""
        with self.changing() as session:
            view = session.get(View, view_id)
            if view is None:
                return None
            view.name, view.query, view.updated_at = name, query, time.time()
            return _as_dict(view)

    def view(self, view_id: str) -> dict[str, Any] | None:
        with self.reading() as session:
            found = session.get(View, view_id)
            return None if found is None else _as_dict(found)

    def views(self, project: str) -> list[dict[str, Any]]:
        """Return the named views of ``project``, the one that changed last first."""
        with self.reading() as session:
            found = session.execute(
                select(View)
                .where(View.project == project, View.name != "")
                .order_by(View.updated_at.desc())
                .limit(1000)
            ).scalars()
            return [_as_dict(each) for each in found]

    def delete_view(self, view_id: str) -> bool:
        with self.changing() as session:
            found = session.get(View, view_id)
            if found is not None:
                session.delete(found)
            return found is not None

    # ------------------------------------------------------------------ sessions

    def _ensure_tables(self) -> None:
        with self._lock:
            if not self._is_migrated:
                with self._engine.begin() as connection:
                    migrate(connection)
                self._is_migrated = True

    @contextmanager
    def changing(self) -> Iterator[Session]:
        """A transaction that may change something.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        with self._translating():
            self._ensure_tables()
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._translating():
            self._ensure_tables()
            with Session(self._engine) as session:
                yield session

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            if _is_damage(error):
                raise CatalogUnavailableError(
                    f"{self._where}: the catalog is damaged ({_reason(error)}); "
                    f"{catalog_remedy(self._where)}"
                ) from error
            raise CatalogUnavailableError(
                f"{self._where}: the catalog does not answer ({_reason(error)}); try again"
            ) from error


def open_catalog(folder: Path, url: str = "") -> Catalog:
    """Return the catalog at ``url``, else the file in ``folder``; it is opened at its first use."""
    if not url:
        path = folder / CATALOG_FILE
        return Catalog(f"sqlite:///{path}", where=str(path))
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return Catalog(address, where=url.rpartition("@")[2])


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=4,
            connect_args=_POSTGRESQL,
            pool_timeout=_BUSY_SECONDS,
        )
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # We begin by ourselves, below.
        _enter_wal_mode(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # Begin for writing: a transaction that reads first fails at its write if another one wrote.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _enter_wal_mode(connection: sqlite3.Connection) -> None:
    """Put the file into WAL mode, if it is not yet.

    SQLite does not wait for another connection here: of two that open a new file at the same
    moment, one may get SQLITE_BUSY at once: its time limit does not count here.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Not the extended code, which says more: the primary one is in its lowest byte.
            is_busy = error.sqlite_errorcode & 0xFF in _BUSY_CODES
            if not is_busy or time.monotonic() >= deadline:
                raise
            time.sleep(_BUSY_PAUSE_SECONDS)
        else:
            return


def _is_damage(error: DBAPIError) -> bool:
    """Return whether SQLite found that the file is no database, or a corrupt one."""
    if not isinstance(error.orig, sqlite3.Error):
        return False
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _reason(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else "unknown"


def _as_dict(view: View) -> dict[str, Any]:
    names = ("id", "project", "name", "query", "created_at", "updated_at")
    return {name: getattr(view, name) for name in names}
