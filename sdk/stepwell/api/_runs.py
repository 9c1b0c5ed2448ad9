"""Runs of a project: a list that is read a page at a time, and all their histories at once."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwell._argument_names import checks_names_of_calls
from stepwell._artifacts.artifact import Artifact
from stepwell._whole_numbers import whole_columns
from stepwell.api._arrow import arrow_table, empty_columns, frame_of, to_pandas
from stepwell.api._awaiting import await_rows
from stepwell.api._filters import filter_text, sort_key
from stepwell.api._history import OWN, checked_keys, steps_asked
from stepwell.api._missing_keys import no_metric_text, warn_each
from stepwell.api._names import nearest
from stepwell.api._pages import Pages
from stepwell.api._project_facts import project_facts
from stepwell.api._run import Run
from stepwell.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_CALLER: Final = 3  # Of a method whose arguments are checked, from that method.
_METRICS_MAX: Final = 10_000
_NEAR_MAX: Final = 1000


@checks_names_of_calls
class Runs(Pages[Run]):
    """The runs that a filter finds, in an order."""

    def __init__(
        self,
        hub: "Hub",
        project: str,
        filters: Mapping[str, Any] | str | None,
        order: str,
        per_page: int,
    ) -> None:
        super().__init__(per_page)
        self._hub, self.project = hub, project
        self.filters, self.order = filters, order
        self._question = {"filter": filter_text(filters), "sort": [sort_key(order)]}

    def _page(self, cursor: str | None, limit: int) -> tuple[list[Run], str | None, int | None]:
        if cursor is None:
            await_rows(self._hub)
        body = {**self._question, "limit": limit, "cursor": cursor}
        found = self._hub.ask("POST", "projects", self.project, "runs", "query", body=body)
        if not found["runs"] and cursor is None:
            # An unknown project is an error, not an empty list.
            project_facts(self._hub, self.project)
            for hint in found["hints"]:
                warnings.warn(f"{self!r}: {hint}", UserWarning, stacklevel=3)
        made = [run_of(self._hub, each) for each in found["runs"]]
        return made, found["next_cursor"], found["total"]

    def history(
        self,
        keys: Sequence[str],
        *,
        format: str = "pandas",
        min_step: int | None = None,
        max_step: int | None = None,
        labels: str = "auto",
    ) -> Any:
        """Return every point of ``keys`` in all these runs as one table, with one request.

        Columns are ``run_id``, ``_step``, ``_timestamp`` and each key. A missing value is null.
        A column of a DataFrame with only whole numbers is one of ints.
        Rows are in the order of the runs, then by step.

        Args:
            keys: metrics with numbers.
            format: ``arrow`` for a `pyarrow.Table`, ``pandas`` for a DataFrame.
            min_step: the first step. max_step: the first step after the range.
            labels: ``apart``: a row for each rank at a step, with its ``_label``; ``join``: one
                row; ``auto``: apart if a run has several ranks.
        """
        if format not in ("arrow", "pandas"):
            raise UsageError(f"format: {format!r}; expected 'arrow' or 'pandas'")
        if labels not in ("auto", "apart", "join"):
            raise UsageError(f"labels: {labels!r}; expected 'auto', 'apart' or 'join'")
        metrics = checked_keys(keys)
        if not metrics:
            raise UsageError("keys: expected at least one name of a metric")
        question = {
            **self._question,
            "metrics": metrics,
            "labels": labels,
            **steps_asked(min_step, max_step),
        }
        await_rows(self._hub)
        table = arrow_table(self._hub, self.project, question)
        if not table.num_rows or (empty := empty_columns(table, metrics)):
            for sentence in self._lacking(metrics if not table.num_rows else empty):
                raise UsageError(f"keys: {sentence}")
        return table if format == "arrow" else to_pandas(table, metrics)

    def _lacking(self, metrics: Sequence[str]) -> list[str]:
        """Return a sentence for each of ``metrics`` that no run of the project has."""
        project_facts(self._hub, self.project)
        query = {"limit": _METRICS_MAX}
        found = self._hub.ask("GET", "projects", self.project, "metrics", query=query)
        if found["next_cursor"] is not None:
            return []
        known = [each["metric"] for each in found["metrics"]]
        owner = f"project {self.project!r}"
        return [no_metric_text(owner, each, known) for each in metrics if each not in known]

    def histories(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        format: str = "default",
        stream: str = "default",
    ) -> Any:
        """Return `Run.history` of each run in turn. Each row has its ``run_id``.

        Args:
            format: ``default`` for a list of dicts, ``pandas`` for a DataFrame.
        """
        if format not in ("default", "pandas"):
            raise UsageError(f"format: {format!r}; expected 'default' or 'pandas'")
        rows = [
            {**row, "run_id": run.id}
            for run in self
            for row in run._sampled(samples, keys, x_axis, stream)[0]
        ]
        if not rows and keys and stream == "default":
            warn_each(self._lacking([each for each in keys if each not in OWN]), _CALLER)
        if stream == "default":
            rows = whole_columns(rows)
        return rows if format == "default" else frame_of(rows)

    def __repr__(self) -> str:
        return f"<Runs of {self.project}>"


def run_of(hub: "Hub", facts: dict[str, Any]) -> Run:
    """Return the run with these facts of the hub."""
    return Run(hub, facts, Artifact._of)


def find_run(hub: "Hub", project: str, run_id: str) -> Run:
    """Return the run.

    Raises:
        NotFoundError: There is no such run; the message gives similar names.
    """
    try:
        return run_of(hub, hub.ask("GET", "projects", project, "runs", run_id))
    except NotFoundError as error:
        project_facts(hub, project)
        body = {"limit": _NEAR_MAX, "archived": True}
        listed = hub.ask("POST", "projects", project, "runs", "query", body=body)["runs"]
        if any(each["run_id"] == run_id for each in listed):  # It has come since.
            return run_of(hub, hub.ask("GET", "projects", project, "runs", run_id))
        named = [each["run_id"] for each in listed if each["name"] == run_id]
        hint = (
            f"; the run with this name has the id {named[0]!r}"
            if named
            else nearest(run_id, [each["run_id"] for each in listed])
        )
        raise NotFoundError(
            f"no run {run_id!r} in project {project!r}{hint}",
            error,
            code=error.code,
            status=error.status,
        ) from error
