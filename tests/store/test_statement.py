"""Statements of users only read: told by their tokens, and by the engine's own read-only mode."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stepwell_store import EmbeddedStore, Store, StoreError
from stepwell_store.server.store import ServerStore
from stepwell_store.statement import StatementError, reading_statement, stated_format

KNOWN = ("file", "url", "remote", "s3", "executable", "numbers", "format", "eval", "dictionary")
"""Table functions of an engine; the engine's own list is asked below."""


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "  /* why */ -- and how\n (SELECT 1)",
        "with x as (select 1) select * from x",
        "SHOW TABLES",
        "FROM points SELECT count()",
        "SELECT 'INTO OUTFILE; file(' AS text, \"a;b\", `c(` FROM points",
        "SELECT format('{}', a), files FROM numbers(3)",
        r"SELECT 'it''s \' ; url(' ",
        "EXPLAIN SELECT airlines(1)",
        "SELECT 1 # a comment; url('x')\n + 1",
    ],
)
def test_what_only_reads_is_taken_as_it_is(statement: str) -> None:
    assert reading_statement(statement, KNOWN) == statement.rstrip()


def test_a_closing_semicolon_is_left_out() -> None:
    assert reading_statement("SELECT 1 ; ; -- the end", KNOWN) == "SELECT 1"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT 1 FORMAT CSV", "CSV"),
        ("SELECT (1) format /* so */ JSON ; ;", "JSON"),
        ("SHOW TABLES FORMAT Vertical SETTINGS max_threads = 1", "Vertical"),
        ("SELECT 1", ""),
        ("", ""),
        ("SELECT 'x FORMAT CSV'", ""),
        ("SELECT format('{}', 1) AS a", ""),
        ("SELECT a AS format FROM points ORDER BY format DESC", ""),
        ("SELECT * FROM format f", ""),
    ],
)
def test_the_format_that_a_statement_names_is_known(statement: str, named: str) -> None:
    assert stated_format(statement) == named


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("", "no statement"),
        (" ; -- nothing", "no statement"),
        ("DROP TABLE points", "'DROP' can change data"),
        ("SYSTEM FLUSH LOGS", "'SYSTEM' can change data"),
        ("KILL QUERY WHERE 1", "'KILL' can change data"),
        ("SET readonly = 0", "'SET' can change data"),
        ("SELEC 1", "syntax error at character 1: 'SELEC' .* did you mean SELECT"),
        ("hello", "syntax error at character 1: 'hello' is not the beginning"),
        ("SELECT 1; SELECT 2", "character 9: more than one statement"),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", "INTO OUTFILE writes a file"),
        ("SELECT 1 into/**/outfile '/tmp/x'", "INTO OUTFILE writes a file"),
        ("SELECT file('/etc/passwd')", "character 8: the function file"),
        ("SELECT '/etc/passwd' AS x, * APPLY file", "character 36: the function file"),
        (r'SELECT * APPLY "fil\x65"', "backslashes in a name"),
        ("SELECT arrayMap(aiGenerate, ['x'])", "the function aiGenerate"),
        ("DESCRIBE url('http://127.0.0.1/')", "the function url"),
        ("SELECT * FROM `url`('x')", "the function `url`"),
        ("SELECT * FROM \"remote\" -- x\n ('x')", 'the function "remote"'),
        (r"SELECT * FROM `u\x72l`('x')", "backslashes in a name"),
        ("SELECT * FROM S3('x')", "the function S3"),
        ("SELECT * FROM eval('SELECT 1')", "the function eval"),
        ("SELECT aiGenerate('x')", "the function aiGenerate"),
        ("SELECT AIEmbed('x')", "the function AIEmbed"),
        ("SELECT $a$ ' $a$, file('x'), ' '", "'\\$' is not supported outside of quotes"),
        ("SELECT \u2018 ' \u2019, file('x'), ' '", "is not supported outside of quotes"),
        ("SELECT 1 /* /* */ , file('x') */", "nested comments"),
        ("SELECT 1 /* file('x')", "begins a comment that is not closed"),
        ("SELECT 'x", "character 8: a quote is not closed"),
        ("SELECT 1 #\n, file('x')", "the function file"),
        ("SELECT 1file('x')", "syntax error at character 8: 1file"),
    ],
)
def test_what_may_do_more_is_refused_with_the_place(statement: str, reason: str) -> None:
    with pytest.raises(StatementError, match=reason):
        reading_statement(statement, KNOWN)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A peer on loopback that must not be connected."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:
        made.settimeout(0)
        yield made


def read(store: Store, statement: str) -> list[tuple[object, ...]]:
    if isinstance(store, ServerStore):
        _, rows = store.read(statement, timeout_seconds=30)
        return [tuple(row.values()) for row in rows]
    assert isinstance(store, EmbeddedStore)
    found = store.read_bytes(
        statement, output_format="JSONCompactEachRow", settings={}, timeout_seconds=30
    )
    return [tuple(json.loads(line)) for line in found.splitlines()]


def test_no_way_leads_out_of_the_engine(
    store: Store, tmp_path: Path, listener: socket.socket
) -> None:
    secret, out = tmp_path / "secret.csv", tmp_path / "out"
    secret.write_text("key\n")
    peer = f"127.0.0.1:{listener.getsockname()[1]}"
    for statement in (
        f"SELECT 1 INTO OUTFILE '{out}'",
        f"SELECT file('{secret}')",
        f"SELECT * FROM file('{secret}')",
        f"SELECT * APPLY file FROM (SELECT '{secret}' AS x)",
        f"SELECT COLUMNS('x') APPLY(`file`) FROM (SELECT '{secret}' AS x)",
        f"SELECT arrayMap(file, ['{secret}'])",
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM `{secret}`",
        f"DESCRIBE file('{secret}')",
        f"WITH x AS (SELECT * FROM file('{secret}')) SELECT * FROM x",
        f"SELECT * FROM filesystem('{tmp_path}')",
        f"SELECT * FROM url('http://{peer}/x', CSV, 'a String')",
        f"SELECT * FROM remote('{peer}', system.one)",
        f"SELECT * FROM s3('http://{peer}/bucket/x.csv', CSV, 'a String')",
        f"SELECT * FROM mysql('{peer}', 'a', 'b', 'c', 'd')",
        f"SELECT * FROM postgresql('{peer}', 'a', 'b', 'c', 'd')",
        f"SELECT * FROM iceberg('http://{peer}/bucket/')",
        "SELECT * FROM executable('x.sh', CSV, 'a String')",
        "SELECT * FROM dictionary('d')",
        "SELECT * FROM python('x')",
        "SELECT * FROM eval('SELECT 1')",
        "SELECT * FROM cluster('default', system.one)",
        "CREATE TABLE t (a UInt8) ENGINE = Memory",
        "INSERT INTO points SELECT * FROM points",
        f"INSERT INTO FUNCTION file('{out}') SELECT 1",
        "CREATE DICTIONARY d (a Int32) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(1)",
        "SYSTEM FLUSH LOGS",
        "SET max_threads = 1",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1; DROP TABLE points",
    ):
        with pytest.raises((StatementError, StoreError)) as caught:
            read(store, statement)
        assert "key" not in str(caught.value)
    assert not out.exists()
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_the_engine_itself_refuses_what_the_tokens_would_let_through(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("embedded", "server.questions"):
        monkeypatch.setattr(
            f"stepwell_store.{module}.reading_statement", lambda statement, known: statement
        )
    for statement in (
        "CREATE TABLE t (a UInt8) ENGINE = Memory",
        "DROP TABLE points",
        f"SELECT * FROM file('{tmp_path}/x.csv')",
        "SELECT 1 SETTINGS max_threads = 1",
        "SET readonly = 0",
        "SYSTEM FLUSH LOGS",
    ):
        with pytest.raises(StoreError, match="readonly"):
            read(store, statement)
    assert store.query("SELECT 1 AS one SETTINGS max_threads = 1") == [{"one": 1}]


def test_functions_that_only_make_rows_are_taken(engine: EmbeddedStore) -> None:
    """The oldest server takes none in its read-only mode."""
    assert read(engine, "SELECT sum(number) FROM numbers(4);") == [(6,)]
    held = read(engine, "SELECT count() FROM points")
    assert read(engine, "SELECT count() FROM merge(currentDatabase(), '^points$')") == held
    assert read(engine, "SELECT * FROM VALUES('a UInt8', 7)") == [(7,)]
    assert read(engine, "SELECT * FROM generateSeries(2, 3)") == [(2,), (3,)]
    assert read(engine, "SELECT format('{}!', 'a')") == [("a!",)]
