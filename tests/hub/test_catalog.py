"""What is small and must be consistent, in SQLite and in PostgreSQL alike."""

import asyncio
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, NullPool, create_engine, inspect, text

from stepwell_hub.catalog.catalog import Catalog, open_catalog
from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.catalog.migrate import NEWEST
from stepwell_hub.catalog.models import Base
from stepwell_hub.catalog.slots import SLOTS, next_slot
from stepwell_hub.errors import CatalogUnavailableError
from stepwell_wire.hub_access import CATALOG_FILE, LoginCode
from tests.hub.catalogs import emptied
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def url(request: pytest.FixtureRequest) -> str:
    """An empty catalog's address; "" is a file."""
    if request.param == "sqlite":
        return ""
    found: PostgreSQLServer = request.getfixturevalue("postgresql")
    return emptied(found)


@pytest.fixture
def catalog(tmp_path: Path, url: str) -> Iterator[Catalog]:
    opened = open_catalog(tmp_path, url)
    yield opened
    opened.close()


def engine_of(folder: Path, url: str) -> Engine:
    """Return another way to the catalog's database, with no connection that stays open."""
    address = url.replace("postgresql://", "postgresql+psycopg://")
    return create_engine(address or f"sqlite:///{folder / CATALOG_FILE}", poolclass=NullPool)


def tomorrow() -> int:
    return int(time.time()) + 86_400


def test_a_new_file_that_another_process_is_writing_is_waited_for(tmp_path: Path) -> None:
    # SQLite itself does not wait at the change to WAL mode.
    other = sqlite3.connect(tmp_path / CATALOG_FILE, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE others (x)")
    other.execute("BEGIN IMMEDIATE")
    releasing = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    releasing.start()
    catalog = open_catalog(tmp_path)
    catalog.ping()
    releasing.join()
    other.close()
    catalog.close()


@pytest.mark.parametrize("problem", ["read-only", "unopenable"])
def test_a_file_that_cannot_be_written_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    with closing(sqlite3.connect(tmp_path / CATALOG_FILE)) as other:
        other.execute("CREATE TABLE others (x)")
        if problem == "unopenable":
            other.execute("PRAGMA journal_mode = WAL")
    if problem == "unopenable":
        (tmp_path / f"{CATALOG_FILE}-wal").mkdir()
        catalog = open_catalog(tmp_path)
    else:  # By its address: root may write in every file.
        catalog = open_catalog(
            tmp_path, f"sqlite:///file:{tmp_path / CATALOG_FILE}?mode=ro&uri=true"
        )
    ours, real_sleep = threading.get_ident(), time.sleep

    def sleep(seconds: float) -> None:
        if threading.get_ident() == ours:  # Others may wait for a process meanwhile.
            pytest.fail("the catalog waits")
        real_sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(CatalogUnavailableError, match=r"readonly|unable to open"):
        catalog.ping()
    catalog.close()


# ---------------------------------------------------------------------------- login codes


def test_a_code_is_used_once(catalog: Catalog) -> None:
    code = LoginCode(b"12345678", tomorrow())
    assert catalog.use_code(code)
    assert not catalog.use_code(code)
    assert catalog.use_code(LoginCode(b"87654321", tomorrow()))


def test_of_many_who_use_a_code_at_once_one_is_let_in(tmp_path: Path, url: str) -> None:
    catalogs = [open_catalog(tmp_path, url) for _ in range(4)]
    code = LoginCode(b"12345678", tomorrow())
    let_in: list[bool] = []
    threads = [
        threading.Thread(target=lambda each=each: let_in.append(each.use_code(code)))
        for each in catalogs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(let_in) == [False, False, False, True]
    for each in catalogs:
        each.close()


def test_expired_codes_are_forgotten(catalog: Catalog) -> None:
    past = LoginCode(b"12345678", int(time.time()) - 1)
    assert catalog.use_code(past)
    assert catalog.use_code(LoginCode(b"87654321", tomorrow()))
    assert catalog.use_code(past)  # Its signature is refused before, by its time.


# ---------------------------------------------------------------------------- colours


def test_runs_get_slots_in_order_and_keep_them(tmp_path: Path, url: str) -> None:
    catalog = open_catalog(tmp_path, url)
    assert catalog.slots("p", ["a", "b", "c"]) == {"a": 0, "b": 1, "c": 2}
    assert catalog.slots("q", ["a"]) == {"a": 0}
    catalog.close()
    again = open_catalog(tmp_path, url)
    assert again.slots("p", ["c", "d", "a"]) == {"c": 2, "d": 3, "a": 0}
    again.close()


def test_the_twenty_first_run_gets_the_slot_that_was_not_used_for_longest(catalog: Catalog) -> None:
    catalog.slots("p", [f"run{i}" for i in range(20)])
    catalog.forget_runs("p", ["run7"])
    assert catalog.slots("p", ["x", "y", "z"]) == {"x": 7, "y": 0, "z": 1}


def test_the_runs_of_a_deleted_project_give_their_slots_back(catalog: Catalog) -> None:
    catalog.slots("p", ["a", "b"])
    catalog.forget_project("p")
    assert catalog.slots("p", ["b"]) == {"b": 0}


@given(st.lists(st.integers(0, SLOTS - 1), max_size=20))
@pytest.mark.slow
def test_free_slots_go_first_and_then_the_oldest(recent: list[int]) -> None:
    slot = next_slot(recent)
    free = set(range(SLOTS)) - set(recent)
    if free:
        assert slot == min(free)
    else:
        assert slot == recent[0]


# ---------------------------------------------------------------------------- views


def test_a_view_is_kept_changed_and_deleted(catalog: Catalog) -> None:
    made = catalog.save_view(project="p", name="best", query="f=lr%3C1")
    assert catalog.view(made["id"]) == made
    changed = catalog.change_view(made["id"], name="worst", query="f=lr%3E1")
    assert changed is not None
    assert changed["created_at"] == made["created_at"]
    assert [each["name"] for each in catalog.views("p")] == ["worst"]
    assert catalog.views("q") == []
    assert catalog.delete_view(made["id"])
    assert not catalog.delete_view(made["id"])
    assert catalog.view(made["id"]) is None
    assert catalog.change_view(made["id"], name="", query="") is None


def test_a_view_without_a_name_is_shared_by_its_id_alone(catalog: Catalog) -> None:
    made = catalog.save_view(project="p", name="", query="x=1")
    assert catalog.views("p") == []
    assert catalog.view(made["id"]) is not None


# ---------------------------------------------------------------------------- the tables


def test_migrations_make_what_the_models_say(tmp_path: Path, url: str) -> None:
    catalog = open_catalog(tmp_path, url)
    catalog.views("p")
    with engine_of(tmp_path, url).connect() as connection:
        found = inspect(connection)
        for table in Base.metadata.sorted_tables:
            columns = {each["name"]: each for each in found.get_columns(table.name)}
            assert set(columns) == {column.name for column in table.columns}
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable, column
                kind = column.type.compile(connection.dialect)
                assert columns[column.name]["type"].compile(connection.dialect) == kind, column
            indexed = {each["name"] for each in found.get_indexes(table.name)}
            assert {index.name for index in table.indexes} <= indexed
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        assert version == NEWEST
    catalog.close()


def test_a_newer_catalog_is_left_alone(tmp_path: Path, url: str) -> None:
    catalog = open_catalog(tmp_path, url)
    catalog.views("p")
    with engine_of(tmp_path, url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    catalog.close()
    with pytest.raises(CatalogUnavailableError, match="upgrade stepwell"):
        open_catalog(tmp_path, url).views("p")


def test_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    catalog = open_catalog(tmp_path)
    catalog.views("p")
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    catalog.close()


def test_a_file_that_is_no_database_is_damage_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / CATALOG_FILE).write_text("garbage\n")
    door = CatalogDoor(tmp_path)
    assert not asyncio.run(door.answers()), "before its first use"
    with pytest.raises(CatalogUnavailableError) as refused:
        asyncio.run(door.do(lambda catalog: catalog.views("p")))
    told = str(refused.value)
    assert "the catalog is damaged (file is not a database)" in told
    assert "restore" in told
    assert "move it away" in told
    assert "try again" not in told
    door.close()


def test_a_question_whether_the_catalog_answers_does_not_end_its_locks(tmp_path: Path) -> None:
    """Any close of the file in the process of a SQLite database ends its locks.

    Then the next command that uses the file takes itself for the last user, and removes the WAL
    under the hub: what the hub writes from then on is lost with its process.
    """
    door = CatalogDoor(tmp_path)
    assert asyncio.run(door.answers()), "before its first use"
    asyncio.run(door.do(lambda catalog: catalog.views("p")))
    assert asyncio.run(door.answers())
    wal = tmp_path / f"{CATALOG_FILE}-wal"
    before = wal.stat().st_ino
    other = (
        f"import sqlite3; c = sqlite3.connect({str(tmp_path / CATALOG_FILE)!r}); "
        "c.execute('SELECT * FROM sqlite_master').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", other], check=True)
    assert wal.exists()
    assert wal.stat().st_ino == before
    door.close()


@pytest.mark.slow
def test_a_server_that_accepts_and_says_nothing_is_left_soon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        catalog = open_catalog(tmp_path, f"postgresql://nobody@127.0.0.1:{port}/none")
        with pytest.raises(CatalogUnavailableError, match="try again"):
            catalog.views("p")
        catalog.close()


@pytest.mark.processes
def test_a_server_that_is_away_is_named_without_its_password_and_found_again(
    postgresql: PostgreSQLServer, tmp_path: Path
) -> None:
    address = emptied(postgresql).replace("postgres@", "postgres:secret@")
    catalog = open_catalog(tmp_path, address)
    catalog.views("p")
    postgresql.stop()
    try:
        with pytest.raises(CatalogUnavailableError) as refused:
            catalog.views("p")
        assert "secret" not in str(refused.value)
        assert "try again" in str(refused.value)
    finally:
        postgresql.start()
    assert catalog.views("p") == []
    catalog.close()
