"""Every command, with a store, without one, wrongly asked, and with a reader that goes.

None of them ends with a traceback, and the exit code is the one that docs/cli.md names.
"""

import io
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from stepwell.cli.__main__ import COMMANDS, main
from stepwell.cli.errors import NOT_FOUND, OK, PIPE_CLOSED, UNREACHABLE, USAGE
from tests.cli.conftest import Call

_BECOME_ANOTHER: Final = {"daemon", "hub"}
"""Their arguments are another program's, and are tested with it."""

PRINTING: Final = (
    "runs",
    "runs --json",
    "runs --group-by state --columns lr",
    "show run-a --node",
    "show run-a --json",
    "export run-a -o -",
    "export digits -o - --format csv",
    "sql SHOW_TABLES",
    "sql SELECT_1 --format json",
    "doctor",
    "doctor --json",
    "rm --orphans --yes",
    "sync --no-daemon",
    "version",
    "--help",
    "help runs",
)

WRONG: Final = {
    "runs --limit x": USAGE,
    "runs --sort -": USAGE,
    "runs --cursor x": USAGE,
    "runs --group-by ,": USAGE,
    "runs --config /nope": USAGE,
    "runs --project nope": NOT_FOUND,
    "runs --data /nope": UNREACHABLE,
    "show": USAGE,
    "show nope": NOT_FOUND,
    "show digits/": NOT_FOUND,
    "export run-a": USAGE,
    "export run-a -o x.zip": USAGE,
    "export run-a -o /nope/x.csv": 1,
    "export run-a -o - --metric nope": NOT_FOUND,
    "sql": USAGE,
    "sql SELECT_1 --timeout nan": USAGE,
    "sql SELECT_1 --timeout -1": USAGE,
    "sql SELECT_1 --timeout 1e30": USAGE,
    "sql SELECT_throwIf(1)": USAGE,
    "sync /nope": NOT_FOUND,
    "sync /etc": NOT_FOUND,
    "journal verify /etc": NOT_FOUND,
    "import mlruns": USAGE,
    "status": UNREACHABLE,
    "top": USAGE,
    "top --once": UNREACHABLE,
    "top --once --interval inf": USAGE,
    "down": UNREACHABLE,
    "down --timeout nan": USAGE,
    "open nope --data /nope": UNREACHABLE,
    "spool": USAGE,
    "spool verify": UNREACHABLE,
    "spool dump --limit -1": USAGE,
    "journal verify": UNREACHABLE,
    "journal dump /etc/passwd": UNREACHABLE,
    "backup": USAGE,
    "backup /etc": USAGE,
    "rm": USAGE,
    "rm run-c": USAGE,
    "rm nope --yes": NOT_FOUND,
    "run --": USAGE,
    "run -- no-such-command": 127,
    "run -- /etc/passwd": 126,
    "sweep": USAGE,
    "sweep /nope": USAGE,
    "sweep ls": UNREACHABLE,
    "artifact": USAGE,
    "artifact ls digits": UNREACHABLE,
    "artifact rm digits/data:v0 --yes": UNREACHABLE,
    "report": USAGE,
    "report ls": UNREACHABLE,
    "report export x": UNREACHABLE,
    "agent": USAGE,
    "agent x": USAGE,
    "agent aaaaaaaa": UNREACHABLE,
    "up --port x": USAGE,
    "version x": USAGE,
    "help nope": USAGE,
    "-x": USAGE,
}


def words_of(text: str) -> list[str]:
    return [word.replace("_", " ") if word[:1].isupper() else word for word in text.split()]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small terminal without colours, and no daemon that a command starts by itself."""
    for name, value in (("COLUMNS", "40"), ("NO_COLOR", "1"), ("STEPWELL_NO_DAEMON", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - _BECOME_ANOTHER))
def test_every_command_refuses_an_option_that_it_does_not_have(call: Call, name: str) -> None:
    done = call(name, "--no-such-option")
    assert (done.code, done.out) == (USAGE, "")
    assert done.err.startswith(f"stepwell {name}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("text", PRINTING)
def test_what_prints_does_so_in_forty_columns_without_colours(call: Call, text: str) -> None:
    done = call(*words_of(text))
    assert (done.code, done.err) == (OK, "")
    assert done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize("text", PRINTING)
def test_a_reader_that_goes_ends_a_command_quietly(
    call: Call,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(closed, encoding="utf-8"))
        assert main(words_of(text)) == PIPE_CLOSED
    assert capfdbinary.readouterr().err == b""


@pytest.mark.parametrize(("text", "code"), WRONG.items())
def test_what_is_asked_wrongly_is_one_line_and_an_exit_code(
    call: Call, text: str, code: int
) -> None:
    done = call(*words_of(text))
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("stepwell")
    assert "Traceback" not in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("text", ["runs", "show run-a", "export run-a -o -", "sql SELECT_1"])
def test_without_a_store_what_reads_says_what_to_do(call: Call, text: str, tmp_path: Path) -> None:
    done = call(*words_of(text), "--data", str(tmp_path))
    assert (done.code, done.out) == (UNREACHABLE, "")
    assert f"no store in {tmp_path}; log a run first" in done.err
