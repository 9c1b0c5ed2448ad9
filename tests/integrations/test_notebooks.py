"""Runs in notebooks that a real kernel executes, with the client of papermill and nbconvert."""

import pytest

from tests.integrations.conftest import Bench

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def test_a_notebook_that_stops_at_an_error_leaves_a_failed_run(bench: Bench) -> None:
    runs = bench.train_several("notebooks_script.txt")
    assert {name: (each.run["state"], each.run["exit_code"]) for name, each in runs.items()} == {
        "well": ("finished", 0),
        "by an error": ("failed", 1),
        "by a syntax error": ("failed", 1),
        "as papermill does": ("failed", 1),
        "well after an error": ("finished", 0),
        "finished before an error": ("finished", 0),
        "by an interrupt": ("killed", 130),
    }
    assert all(each.values_of("x") == [1.0] for each in runs.values())
    console = [line["text"] for line in runs["by a syntax error"].run["console"]]
    assert console[-1] == "SyntaxError: invalid syntax"
