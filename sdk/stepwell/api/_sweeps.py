"""Sweeps as `Api` reads them: trials, runs and the best run."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stepwell._later_names import LaterNames, in_browser
from stepwell._page import sweep_address
from stepwell._sweeps.paths import parse_sweep_path
from stepwell.api._awaiting import await_rows
from stepwell.api._filters import filter_text
from stepwell.api._pages import Pages
from stepwell.api._run import Run
from stepwell.api._runs import find_run, run_of
from stepwell.api._times import moment_text
from stepwell.errors import UsageError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_TRIALS_MAX: Final = 200
"""Number of run ids in one request; a filter has 256 terms at most."""


_LATER: Final = {
    **in_browser("sweep.url"),
    **dict.fromkeys(("agent", "agents"), "its page, sweep.url, shows its agents"),
    "best_loss": "use the value of each of sweep.trials",
    "display_name": "use sweep.name",
    "enqueue_run": "start a run with stepwell.init(config=…), or a sweep with these values",
    "get": "use Api().sweep(path)",
    "run_count_expected": "use sweep.expected_run_count",
    "updated_at": "use heartbeat_at of its runs",
    **dict.fromkeys(("user", "username"), "a hub has no accounts"),
}


class Trial(NamedTuple):
    """One trial of a sweep.

    Attributes:
        number: from 1 on, in the order of handing out.
        run_id: of the run that counts for the trial, or that runs it now.
        state: running, waiting (to be handed out again), finished, failed, crashed or stopped.
        params: the values of its parameters, by name.
        value: the best value of the sweep's metric in the run, by the goal; None without one.
        is_run_deleted: the run was deleted. The trial has no value then, and is not the best.
    """

    number: int
    run_id: str
    state: str
    params: dict[str, Any]
    value: float | None
    is_run_deleted: bool = False


class Sweep(LaterNames):
    """A sweep, with the values of the time of reading.

    Attributes:
        id, project, name, description: of the sweep.
        config: the configuration, as the hub stores it.
        method: grid, random or bayes.
        run_count: number of trials that were handed out.
        expected_run_count: largest number of trials; None without a limit.
        created_at: ISO 8601 in UTC.
    """

    entity = ""
    _whose, _later = "a sweep's", _LATER

    def __init__(self, hub: "Hub", facts: dict[str, Any]) -> None:
        self._hub = hub
        self._take(facts)

    def _take(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        self.id: str = facts["id"]
        self.project: str = facts["project"]
        self.name: str = facts["name"] or facts["id"]
        self.description: str = facts["description"]
        self.config: dict[str, Any] = facts["config"]
        self.method: str = facts["method"]
        counts = dict(facts["counts"])
        counts.pop("superseded", None)  # Attempts, not trials.
        self.run_count = sum(counts.values())
        self.expected_run_count: int | None = facts["expected_trials"]
        self.created_at = moment_text(facts["created_at"])

    def load(self, force: bool = False) -> dict[str, Any]:
        """Return all facts of the sweep; with ``force``, read them again."""
        if force:
            await_rows(self._hub)
            self._take(self._hub.ask("GET", "sweeps", self.id, query={"look": "true"}))
        return self._facts

    @property
    def state(self) -> str:
        """pending, running, paused, finished or canceled, at the time of reading."""
        return str(self._facts["state"])

    @property
    def order(self) -> str | None:
        """The order of `Api.runs` that has its best run first; None without a metric."""
        if (metric := self._facts["metric"]) is None:
            return None
        sign = "-" if metric["goal"] == "maximize" else "+"
        return f"{sign}summary_metrics.{metric['name']}"

    @property
    def url(self) -> str:
        return sweep_address(self._hub.url, self.project, self.id)

    @property
    def path(self) -> list[str]:
        return [self.entity, self.project, self.id]

    @property
    def trials(self) -> Pages[Trial]:
        """Its trials, by their number."""
        return _Trials(self)

    @property
    def runs(self) -> Pages[Run]:
        """The runs of its trials by number, without superseded and deleted ones."""
        return _SweepRuns(self)

    def best_run(self, order: str | None = None) -> Run | None:
        """Return the run of the best trial; None if no trial has a value.

        The best value of the metric in each run counts, as in the search; deleted runs do not.

        Args:
            order: must be None: the metric and the goal of the sweep decide.
        """
        if order is not None:
            raise UsageError(
                f"order: {order!r}; the sweep's metric defines the order; for another one "
                f"use Api().runs({self.project!r}, order=…)"
            )
        best = self.load(force=True)["best"]
        return None if best is None else find_run(self._hub, self.project, best["run_id"])

    def __repr__(self) -> str:
        return f"<Sweep {self.project}/{self.id} ({self.state})>"


class _Trials(Pages[Trial]):
    def __init__(self, sweep: Sweep) -> None:
        super().__init__(per_page=1000)
        self._sweep = sweep

    def _page(self, cursor: str | None, limit: int) -> tuple[list[Trial], str | None, int | None]:
        found = _trials(self._sweep, cursor, limit)
        return [_trial(each) for each in found["trials"]], found["next_cursor"], None


class _SweepRuns(Pages[Run]):
    def __init__(self, sweep: Sweep) -> None:
        super().__init__(per_page=_TRIALS_MAX)
        self._sweep = sweep

    def _page(self, cursor: str | None, limit: int) -> tuple[list[Run], str | None, int | None]:
        hub, project = self._sweep._hub, self._sweep.project
        found = _trials(self._sweep, cursor, limit)
        ids = [each["run_id"] for each in found["trials"] if each["run_id"]]
        runs: dict[str, Run] = {}
        if ids:
            body = {"filter": filter_text({"id": {"$in": ids}}), "limit": len(ids)}
            listed = hub.ask("POST", "projects", project, "runs", "query", body=body)
            runs = {each["run_id"]: run_of(hub, each) for each in listed["runs"]}
        return [runs[each] for each in ids if each in runs], found["next_cursor"], None


def _trials(sweep: Sweep, cursor: str | None, limit: int) -> dict[str, Any]:
    if cursor is None:
        await_rows(sweep._hub)
        # The hub reads the values of trials from time to time; this request reads them now.
        sweep._hub.ask("GET", "sweeps", sweep.id, query={"look": "true"})
    query = {"limit": limit, "cursor": cursor}
    found: dict[str, Any] = sweep._hub.ask("GET", "sweeps", sweep.id, "trials", query=query)
    return found


def _trial(facts: dict[str, Any]) -> Trial:
    # An older hub has fewer fields.
    return Trial(**{each: facts[each] for each in Trial._fields if each in facts})


class Sweeps(Pages[Sweep]):
    """The sweeps of a project, the newest first."""

    def __init__(self, hub: "Hub", project: str, per_page: int) -> None:
        super().__init__(min(per_page, _TRIALS_MAX))
        self._hub, self.project = hub, project

    def _page(self, cursor: str | None, limit: int) -> tuple[list[Sweep], str | None, int | None]:
        query = {"project": self.project, "limit": limit, "cursor": cursor}
        found = self._hub.ask("GET", "sweeps", query=query)
        return [Sweep(self._hub, each) for each in found["sweeps"]], found["next_cursor"], None


def find_sweep(hub: "Hub", path: str) -> Sweep:
    """Return the sweep of ID, PROJECT/ID or ENTITY/PROJECT/ID.

    Raises:
        NotFoundError: No sweep has this id.
        UsageError: ``path`` is invalid, or the sweep belongs to another project.
    """
    named = parse_sweep_path(path)
    sweep = Sweep(hub, hub.ask("GET", "sweeps", named.sweep_id))
    if named.project not in ("", sweep.project):
        raise UsageError(
            f"sweep {named.sweep_id} is in project {sweep.project!r}, not {named.project!r}"
        )
    return sweep


Run._find_sweep = staticmethod(find_sweep)
