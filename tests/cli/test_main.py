"""`stepwell`: finds the command, is quick to start, and fails in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.cli.__main__ import COMMANDS
from stepwell_wire import __version__
from tests.cli.conftest import Call


def test_version_says_the_version(call: Call) -> None:
    for words in (["version"], ["--version"], ["-V"]):
        assert call(*words).out == f"stepwell {__version__}\n"
    assert call("version", "--json").out == f'{{"version": "{__version__}"}}\n'


def test_help_names_every_command(call: Call) -> None:
    helped = call("--help")
    assert helped.code == 0
    assert all(f"\n  {name} " in helped.out for name in COMMANDS)
    assert call("help").out == helped.out


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"daemon", "hub"}))
def test_every_command_explains_itself(call: Call, name: str) -> None:
    helped = call(name, "--help")
    assert helped.code == 0
    assert helped.out.startswith(f"usage: stepwell {name}")
    assert call("help", name).out == helped.out


def test_nothing_to_do_is_wrong_usage(call: Call) -> None:
    assert call().code == 2


def test_an_unknown_command_names_the_nearest(call: Call) -> None:
    wrong = call("rums")
    assert wrong.code == 2
    assert wrong.err == "stepwell: 'rums' is not a command; did you mean `stepwell runs`?\n"


def test_a_command_of_wandb_names_what_does_it_here(call: Call) -> None:
    wrong = call("offline")
    assert wrong.code == 2
    assert 'mode="offline"' in wrong.err
    assert "wandb offline" in wrong.err


def test_an_unknown_option_is_wrong_usage(call: Call) -> None:
    wrong = call("runs", "--jsno")
    assert wrong.code == 2
    assert wrong.err == (
        "stepwell runs: unrecognized arguments: --jsno; did you mean --json? "
        "see `stepwell runs --help`\n"
    )
    assert call("runs", "--limit").err == (
        "stepwell runs: argument --limit: expected one argument; see `stepwell runs --help`\n"
    )
    assert "did you mean --project digits? " in call("runs", "digits").err
    assert "did you mean --filter 'lr<1'? " in call("runs", "lr<1").err
    assert "did you mean --filter big? " in call("runs", "--project", "digits", "big").err
    assert "did you mean --filter big? " in call("runs", "--project=digits", "big").err
    assert "did you mean --limit? " in call("runs", "-l", "3").err
    assert "did you mean --filter state:VALUE? " in call("runs", "--state", "failed").err
    assert "did you mean --output? " in call("export", "digits", "--out", "x.csv").err
    assert (
        "write a value that begins with - as --sort=-summary.loss; "
        in call("runs", "--sort", "-summary.loss").err
    )
    assert "write a value that" not in call("runs", "--sort", "--json").err
    wrong = call("spool", "vrify")
    assert wrong.code == 2
    assert wrong.err.count("\n") == 1
    assert "choose from" in wrong.err


def test_a_socket_path_that_is_too_long_is_refused_with_the_remedy(call: Call) -> None:
    wrong = call("status", "--socket", "/tmp/" + "x" * 200)
    assert wrong.code == 2
    assert "choose a shorter one" in wrong.err


@pytest.mark.parametrize("words", [["up"], ["runs"], ["open"], ["doctor"], ["spool", "verify"]])
def test_a_file_in_place_of_the_data_folder_is_refused(
    call: Call, tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "x.csv").write_text("")
    wrong = call(*words, "--data", tmp_path / "x.csv")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith(
        f"stepwell: {tmp_path / 'x.csv'} is not a folder; set --data or STEPWELL"
    )


def test_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from stepwell.cli.__main__ import main; main(['version'])\n"
        "heavy = {'numpy', 'grpc', 'asyncio', 'msgpack', 'google.protobuf', 'chdb', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "stepwell", "--help"],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "words",
    [
        ["show", "a\udcff"],
        ["runs", "--filter", "a\udcff"],
        ["export", "run-a", "-o", "x.csv", "--metric", "a\udcff"],
        ["report", "ls", "-p", "a\udcff"],
        ["sql", "SELECT 'a\udcff'"],
    ],
    ids=lambda words: words[0],
)
def test_an_argument_that_is_not_utf8_is_named(call: Call, words: list[str]) -> None:
    told = call(*words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("stepwell: the argument ")
    assert r"a\xff" in told.err
    assert "is not UTF-8" in told.err


def test_a_file_may_have_a_name_that_is_not_utf8(call: Call, tmp_path: Path) -> None:
    told = call("report", "put", tmp_path / "a\udcff.md", "--project", "p")
    assert told.code == 1
    assert "No such file" in told.err


def test_an_import_of_other_trackers_files_is_said_to_be_missing(call: Call) -> None:
    told = call("import", "mlruns")
    assert told.code == 2
    assert "cannot read files of other trackers" in told.err
    assert "report" not in told.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_bytes_into_a_pipe_that_closes_are_an_error_also_unbuffered(unbuffered: str) -> None:
    code = """
from stepwell.cli.output import binary_stdout

with binary_stdout() as file:
    file.write(bytes(10_000_000))
"""
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert b"BrokenPipeError" in process.stderr.read()
    assert process.returncode == 1
