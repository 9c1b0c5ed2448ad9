"""Forms of a sweep's name, and when an agent gives up."""

import pytest

from stepwell._config_sources import line_of
from stepwell._sweeps.failures import Failures, failures_of
from stepwell._sweeps.paths import SweepPath, parse_sweep_path
from stepwell.errors import SettingsError, UsageError


def test_a_sweep_is_named_by_id_by_project_and_id_or_with_an_entity() -> None:
    assert parse_sweep_path("abcd1234") == SweepPath("abcd1234")
    assert parse_sweep_path("p/abcd1234") == SweepPath("abcd1234", "p")
    assert parse_sweep_path("e/p/abcd1234") == SweepPath("abcd1234", "p")
    for wrong in ("", "abc", "a/b/c/abcd1234", "p//abcd1234", "ABCD1234"):
        with pytest.raises(UsageError, match="expected ID, PROJECT/ID or ENTITY/PROJECT/ID"):
            parse_sweep_path(wrong)


def test_three_failures_in_the_first_minute_end_the_agent() -> None:
    failures = Failures(0.0)
    assert [bool(failures.note_failure(now)) for now in (1, 2, 3)] == [False, False, True]
    late = Failures(0.0)
    late.note_success()
    assert not any(late.note_failure(now) for now in (1, 2, 61, 62, 63, 64))


def test_five_failures_before_the_first_success_end_it() -> None:
    failures = Failures(0.0)
    told = [failures.note_failure(now) for now in (20, 40, 61, 80, 100)]
    assert told[:4] == [""] * 4
    assert "the first 5 trials failed" in told[4]


def test_so_many_failures_in_a_row_as_were_asked_for_end_it() -> None:
    failures = Failures(0.0, in_a_row_max=2)
    failures.note_success()
    assert not failures.note_failure(70)
    failures.note_success()
    assert not failures.note_failure(71)
    assert "2 trials failed in a row" in failures.note_failure(72)


def test_the_environment_changes_the_limits() -> None:
    names = {
        "WANDB_AGENT_DISABLE_FLAPPING": "true",
        "STEPWELL_AGENT_MAX_INITIAL_FAILURES": "4",
    }
    failures = failures_of(0.0, environ=names)
    assert [bool(failures.note_failure(now)) for now in (1, 2, 3, 4)] == [False] * 3 + [True]
    with pytest.raises(SettingsError, match="MAX_INITIAL_FAILURES: expected a number"):
        failures_of(0.0, environ={"WANDB_AGENT_MAX_INITIAL_FAILURES": "few"})


def test_the_line_of_a_field_is_found() -> None:
    text = "method: grid\nparameters:\n  a.b:\n    values:\n    - 1\n  lr:\n    min: 3\n"
    assert line_of(text, "parameters.lr.min") == 7
    assert line_of(text, "parameters.a.b.values[0]") == 4
    assert line_of(text, "parameters.lr.max") == 6
    assert line_of(text, "metric") == 0
    assert line_of("a: [", "a") == 0
