"""Runs as `Api` reads them."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from stepwell._argument_names import checks_names_of_calls
from stepwell._hub_client import path_of
from stepwell._later_names import LaterNames, in_browser
from stepwell._setting_values import tags_of
from stepwell._summary_below import below
from stepwell._whole_numbers import whole_columns, whole_pages, whole_summary
from stepwell.api._arrow import frame_of
from stepwell.api._awaiting import await_rows
from stepwell.api._console import ConsoleLine, console_lines
from stepwell.api._files import File, SavedFile, files_of, saved_files_of
from stepwell.api._frames import system_rows
from stepwell.api._history import (
    checked_keys,
    checked_samples,
    history_rows,
    sampled_rows,
    steps_asked,
)
from stepwell.api._missing_keys import missing_in_run, no_metric_text, warn_each
from stepwell.api._names import nearest
from stepwell.api._times import moment_text
from stepwell.api._versions import Artifacts
from stepwell.errors import (
    DownloadError,
    HubError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from stepwell_wire.hub_access import page_path

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_WAIT_SECONDS: Final = 2.0
_BUCKETS_MAX: Final = 4096
_CALLER: Final = 3
"""The caller of a method whose arguments are checked, from that method."""
_CALLER_OF_GENERATOR: Final = 2
_LATER: Final = {
    "stop": "stop its process; the run then gets the state killed",
    "update_state": "the state follows the run's process",
    "upload_file": "log media in the run's own process",
    "log_artifact": "log it in the run's own process",
    "create": "start a run with stepwell.init()",
    "json_config": "use json.dumps(run.config)",
    "load_full_data": "use load(force=True)",
    "beta_scan_history": "use scan_history()",
    **in_browser("run.url"),
    **dict.fromkeys(("storage_id", "username"), "use run.id; a hub has no accounts"),
    "description": "use run.notes",
    "dir": "use files(), and download() of each",
    "history_keys": "use the columns of history()",
    "history_line_count": "count the rows of scan_history()",
    "download_history_exports": "use runs.history(keys, format='arrow')",
}


class Summary(dict[str, Any]):
    """The summary of a run. Only the run itself can change it.

    A name without a value of its own has the dict of the values below it, as in ``run.summary``.
    """

    def __missing__(self, key: str) -> dict[str, Any]:
        found = {name: self[name] for name in self if name.startswith(f"{key}.")}
        if not found:
            raise KeyError(key)
        return below(self, key, found)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or any(name.startswith(f"{key}.") for name in self)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __setitem__(self, key: str, value: Any) -> NoReturn:
        self.update({key: value})

    def update(self, *_: Any, **__: Any) -> NoReturn:
        raise UnavailableError(
            "changing a summary outside of the run",
            "continue the run with init(id=…, resume='must') and change run.summary there",
        )

    @property
    def _json_dict(self) -> dict[str, Any]:
        return dict(self)


@checks_names_of_calls
class Run(LaterNames):
    """A run as `Api` reads it. It reads its values at their first use.

    You can set ``name``, ``notes``, ``tags``, ``group``, ``color`` (#rrggbb; "": none) and
    ``archived``. `update` saves them.
    """

    entity = ""
    user = None
    read_only = False
    _whose, _later = "a read run's", _LATER
    _find_sweep: "ClassVar[Callable[[Hub, str], Any]]"
    """Set by the module of sweeps, which knows runs."""
    _sweep: Any = None

    def __init__(
        self, hub: "Hub", facts: dict[str, Any], make_artifact: Callable[..., Any]
    ) -> None:
        """
        Args:
            facts: the hub's facts: those of a list, or all of them, with config and summary.
            make_artifact: makes the artifacts that it logged or used.
        """
        self._hub, self._make_artifact = hub, make_artifact
        self._take(facts)

    def _take(self, facts: dict[str, Any]) -> None:
        self._facts = facts
        self.id: str = facts["run_id"]
        self.project: str = facts["project"]
        self.name: str = facts["name"]
        self.notes: str = facts["notes"]
        self.tags: list[str] = list(facts["tags"])
        self.group: str = facts["group"]
        self.color: str = facts["color"]
        self.archived: bool = facts["archived"]
        self._config: dict[str, Any] | None = None

    def load(self, force: bool = False) -> dict[str, Any]:
        """Read the whole run, again with ``force``. Values that were set and not saved are lost."""
        if force:
            await_rows(self._hub)
        if force or "config" not in self._facts:
            changed = {} if force else self._changes()
            self._take(self._hub.ask("GET", "projects", self.project, "runs", self.id))
            for name, value in changed.items():
                setattr(self, name, value)
        return self._facts

    # ------------------------------------------------------------------ what it is

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def path(self) -> list[str]:
        return [self.entity, self.project, self.id]

    @property
    def state(self) -> str:
        """running, finished, failed, crashed, killed or unknown, at the time of reading."""
        return str(self._facts["state"])

    @property
    def job_type(self) -> str:
        return str(self._facts["job_type"])

    @property
    def sweep_name(self) -> str | None:
        """The id of its sweep; None if the run is no trial."""
        return str(self._facts.get("sweep") or "") or None

    @property
    def sweep(self) -> Any:
        """Its `Sweep`, read at the first use; None if the run is no trial."""
        if self._sweep is None and self.sweep_name:
            with suppress(NotFoundError):
                self._sweep = type(self)._find_sweep(self._hub, self.sweep_name)
        return self._sweep

    @property
    def exit_code(self) -> int | None:
        found: int | None = self._facts["exit_code"]
        return found

    @property
    def created_at(self) -> str | None:
        """The start of the run, ISO 8601 in UTC."""
        return moment_text(self._facts["started_at"])

    @property
    def heartbeat_at(self) -> str | None:
        """The time of its last data, ISO 8601 in UTC."""
        return moment_text(self._facts["last_seen"])

    @property
    def url(self) -> str:
        return self._hub.url + page_path(self.project, self.id)

    @property
    def config(self) -> dict[str, Any]:
        """The config. Changes of this dict are not saved."""
        if self._config is None:
            self._config = dict(self.load()["config"])
        return self._config

    rawconfig = config

    @property
    def summary(self) -> Summary:
        return Summary(self.summary_metrics)

    @property
    def summary_metrics(self) -> dict[str, Any]:
        return whole_summary(self.load()["summary"])

    @property
    def metadata(self) -> dict[str, Any]:
        return dict(self.load()["metadata"])

    @property
    def commit(self) -> str | None:
        """The git commit of its code; None if it is unknown."""
        git = self.metadata.get("git")
        return git.get("commit") if isinstance(git, dict) else None

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802
        """The highest step of the history, also of a text or a medium; -1 without any."""
        facts = self.load()
        if "last_step" in facts:  # A hub of an older release has none.
            return int(facts["last_step"])
        return int(facts["summary"].get("_step", -1)) if facts["point_count"] else -1

    @property
    def system_metrics(self) -> dict[str, float]:
        """The last samples of its nodes, by name."""
        last: dict[str, float] = {}
        for row in self._system(_BUCKETS_MAX):
            last |= {key: value for key, value in row.items() if not key.startswith("_")}
        return last

    # ------------------------------------------------------------------ what it logged

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """Return at most ``samples`` rows, evenly chosen, with the first and the last.

        Ranks that log separately each have a row at a chosen step.

        Args:
            keys: only rows that have all of these, and only these and ``x_axis``.
            pandas: True for a DataFrame, False for a list of dicts. A column with only whole
                numbers is one of ints.
            stream: ``system`` for samples of the run's nodes, as means.

        Warns of keys that the run never logged if there is no row.
        """
        rows, lacking = self._sampled(samples, keys, x_axis, stream)
        warn_each(lacking, _CALLER)
        if stream == "default":
            rows = whole_columns(rows)
        return frame_of(rows) if pandas else rows

    def _sampled(
        self, samples: int, keys: Sequence[str] | None, x_axis: str, stream: str
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the rows, and sentences about missing keys if there are none."""
        wanted = checked_keys(keys)
        if stream in ("system", "systemMetrics"):
            found = self._system(min(checked_samples(samples), _BUCKETS_MAX))
            rows = [row for row in found if wanted is None or all(key in row for key in wanted)]
            known = {key for row in found for key in row}
            missing = [key for key in wanted or () if key not in known]
            owner = f"the system stream of run {self.project}/{self.id}"
            texts = [no_metric_text(owner, key, known) for key in missing]
            return rows, texts if found and not rows else []
        if stream != "default":
            raise UsageError(f"stream: {stream!r}; expected 'default' or 'system'")
        if wanted is not None and x_axis not in wanted:
            wanted.insert(0, x_axis)
        rows = list(sampled_rows(self._rows, wanted, checked_samples(samples)))
        return rows, [] if rows else self._missing(wanted)

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield every row, exact, by step. Rows of ranks that log separately have `_label`.

        Args:
            keys: only rows that have all of these, and only these.
            page_size: in so many rows, up to 10,000, a column has only ints or only floats. The hub
                streams the rows.
            min_step: the first step. max_step: the first step after the range.

        Warns of keys that the run never logged if there is no row.
        """
        return self._scanned(checked_keys(keys), steps_asked(min_step, max_step), page_size)

    def _scanned(
        self, keys: list[str] | None, steps: dict[str, int | None], page_size: int
    ) -> Iterator[dict[str, Any]]:
        is_empty = True
        for row in whole_pages(self._rows(keys, **steps), page_size):
            is_empty = False
            yield row
        if is_empty:
            warn_each(self._missing(keys), _CALLER_OF_GENERATOR)

    def _missing(self, keys: list[str] | None) -> list[str]:
        """Return a sentence for each key that this run never logged."""
        return missing_in_run(self._hub, self.project, self.id, keys) if keys else []

    def _rows(self, keys: list[str] | None, **question: Any) -> Iterator[dict[str, Any]]:
        await_rows(self._hub)
        started = self._facts["started_at"]
        return history_rows(self._hub, self.project, self.id, started, keys, **question)

    def _system(self, buckets: int) -> list[dict[str, Any]]:
        await_rows(self._hub)
        path = ("projects", self.project, "runs", self.id, "system")
        with closing(self._hub.opened("POST", *path, body={"buckets": buckets})) as answer:
            return system_rows(answer.read(), self._facts["started_at"])

    @property
    def console_logs(self) -> Iterator[ConsoleLine]:
        """The console of the run, line by line."""
        await_rows(self._hub)
        return console_lines(self._hub, self.project, self.id)

    def files(
        self, names: Sequence[str] | None = None, per_page: int = 50
    ) -> list[File | SavedFile]:
        """Return the media of the run and the files of its `save`: all, or those of these names.

        Warns if the files of `save` could not be listed.
        """
        found, problem = self._listed_files()
        if problem:
            text = f"run {self.project}/{self.id}: {problem}"
            warnings.warn(text, UserWarning, stacklevel=_CALLER)
        return found if names is None else [each for each in found if each.name in set(names)]

    def _listed_files(self) -> tuple[list[File | SavedFile], str]:
        """Return the media and the saved files, and why the latter could not be listed, or ""."""
        await_rows(self._hub)
        ended_at = None if self.state == "running" else self._facts["last_seen"]
        media = files_of(self._hub, self.project, self.id, ended_at=ended_at)
        try:
            return [*media, *saved_files_of(self._hub, self.project, self.id)], ""
        except (HubError, DownloadError) as error:
            return [*media], f"the files of run.save could not be listed: {error}"

    def file(self, name: str) -> File | SavedFile:
        """Return one of `files`.

        Raises:
            NotFoundError: The run has no file of this name.
        """
        found, problem = self._listed_files()
        for each in found:
            if each.name == name:
                return each
        if problem:
            raise NotFoundError(
                f"run {self.project}/{self.id} has no medium {name!r}, and {problem}",
                code="not_found",
            )
        hint = nearest(name, [each.name for each in found])
        end = "" if hint.endswith("?") else "."
        raise NotFoundError(
            f"run {self.project}/{self.id} has no file {name!r}{hint}{end} Its output is in "
            "console_logs, its values are in config, summary and metadata",
            code="not_found",
        )

    def logged_artifacts(self, per_page: int = 100) -> Artifacts[Any]:
        """Return the existing versions that the run logged, in order, as `stepwell.Artifact`."""
        return self._artifacts("logged", per_page)

    def used_artifacts(self, per_page: int = 100) -> Artifacts[Any]:
        """Return the existing versions that the run used, in order, as `stepwell.Artifact`."""
        return self._artifacts("used", per_page)

    def _artifacts(self, kind: str, per_page: int) -> Artifacts[Any]:
        place = path_of("projects", self.project, "runs", self.id, "artifacts")
        return Artifacts(self._hub, place, per_page, self._make_artifact, kind=kind)

    # ------------------------------------------------------------------ changes

    def use_artifact(self, artifact: Any, use_as: str | None = None) -> Any:
        """Record that the run used a version of `Api.artifact`, and return the version.

        ``use_as`` has no effect.
        """
        path = artifact._existing("version").path
        body = {"run_id": self.id, "project": self.project}
        self._hub.post(f"{path}/uses", body)
        return artifact

    def update(self) -> None:
        """Save the changed name, notes, tags, group, color and archived.

        Raises:
            UnavailableError: The config was changed.
        """
        if self._config is not None and self._config != self._facts["config"]:
            raise UnavailableError(
                "changing a config outside of the run",
                "continue the run with init(id=…, resume='must') and change run.config there",
            )
        if changes := self._changes():
            path = ("projects", self.project, "runs", self.id)
            self._take(self._hub.ask("PATCH", *path, body=changes))

    save = update

    def _changes(self) -> dict[str, Any]:
        given = {
            "name": self.name,
            "notes": self.notes or "",
            "tags": list(tags_of(self.tags) if isinstance(self.tags, str) else self.tags or ()),
            "group": self.group or "",
            "color": self.color or "",
            "archived": bool(self.archived),
        }
        return {name: value for name, value in given.items() if value != self._facts[name]}

    def delete(self, delete_artifacts: bool = False, *, force: bool = False) -> None:
        """Delete the run permanently. ``force``: also a running one."""
        query = {"force": "true"} if force else None
        self._hub.ask("DELETE", "projects", self.project, "runs", self.id, query=query)

    def wait_until_finished(self) -> None:
        """Return when the run has ended."""
        while self.load(force=True)["state"] == "running":
            time.sleep(_WAIT_SECONDS)

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.id} ({self.state})>"
