"""Mistyped keyword arguments of public calls."""

from collections.abc import Callable
from typing import Any

import pytest

import stepwell
from stepwell._run import Run
from tests.sdk.conftest import Start

CALLS: dict[str, Callable[[Any], Any]] = {
    "define_metric() has no argument 'step_metrics'; did you mean 'step_metric'?": (
        lambda run: run.define_metric("x", step_metrics="e")
    ),
    "define_metric() has no argument 'sumary'; did you mean 'summary'?": (
        lambda run: stepwell.define_metric("x", sumary="max")
    ),
    "finish() has no argument 'exitcode'; did you mean 'exit_code'?": (
        lambda run: run.finish(exitcode=1)
    ),
    "log_artifact() has no argument 'typ'; did you mean 'type'?": (
        lambda run: run.log_artifact("x", typ="data")
    ),
    "alert() has no argument 'levl'; did you mean 'level'?": (
        lambda run: run.alert("title", "text", levl="WARN")
    ),
    "Artifact() has no argument 'typ'; did you mean 'type'?": (
        lambda run: stepwell.Artifact("name", typ="data")  # type: ignore[call-arg]
    ),
    "Image() has no argument 'captoin'; did you mean 'caption'?": (
        lambda run: stepwell.Image([[1]], captoin="x")  # type: ignore[call-arg]
    ),
    "sweep() has no argument 'projct'; did you mean 'project'?": (
        lambda run: stepwell.sweep({}, projct="x")  # type: ignore[call-arg]
    ),
    "flush() has no argument 'x'; its arguments are timeout": lambda run: run.flush(x=1),
}


@pytest.mark.parametrize("expected", CALLS)
def test_the_error_for_an_unknown_argument_names_the_nearest_one(
    expected: str, offline: Start
) -> None:
    with pytest.raises(TypeError) as failed:
        CALLS[expected](offline())
    assert str(failed.value) == expected


def test_log_is_not_slowed_by_the_check() -> None:
    assert hasattr(Run.define_metric, "__wrapped__")
    assert not hasattr(Run.log, "__wrapped__")
