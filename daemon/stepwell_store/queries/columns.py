"""The values for a page of runs: names and tags, and the requested columns.

Only the page's runs are read. Values have the form of a run's detail: nested by ``nest``, summaries
by ``summarise``.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from stepwell_store.attributes import Assignment, nest, untyped, value_at
from stepwell_store.identity import fingerprint
from stepwell_store.queries.facts import RunFacts
from stepwell_store.queries.last_rows import last_rows, latest_of
from stepwell_store.queries.limits import Question, together
from stepwell_store.queries.overview import RunOverview, RunRef
from stepwell_store.queries.paths import Kind, Path, parents_of
from stepwell_store.queries.slots import AUTOMATIC
from stepwell_store.queries.texts import last_texts
from stepwell_store.statistics import AGGREGATES, SeriesStatistics, statistics_from
from stepwell_store.summary import LastText, add_automatic, compared, definition_of, summarise

RUN_PATHS: Final = ("name", "tags", "group", "job_type", "sweep", "notes", "color", "archived")
_MISSING: Final = object()


class PageColumns:
    """Reads the values once for all runs of a page.

    Args:
        started: start of each run, in µs.
        columns: the parsed path of each column's text.
        facts: about the columns' paths.
        as_compared: a metric with defined operations has the number that filters and sorts
            compare, not a dict of its operations.
    """

    def __init__(
        self,
        question: Question,
        started: Mapping[RunRef, int],
        columns: Mapping[str, Path],
        facts: RunFacts,
        *,
        as_compared: bool = False,
    ) -> None:
        definitions = sorted(facts.definitions)
        self._question = question
        self._as_compared = as_compared
        self._started = started
        self._columns = columns
        self._refs = {(ref.project, ref.run_id): ref for ref in started}
        self._by_key = {fingerprint(ref.project, ref.run_id): ref for ref in started}
        self._where: dict[str, object] = {
            "projects": sorted({ref.project for ref in started}),
            "runs": sorted({ref.run_id for ref in started}),
        }
        self._configs = self._names(Kind.CONFIG)
        self._summaries = self._names(Kind.SUMMARY)
        self._attributes, self._latest, self._statistics, self._texts, self._others = together(
            lambda: self._read_attributes(definitions),
            self._read_latest,
            self._read_statistics,
            self._read_texts,
            self._read_others,
        )

    def described(self, ref: RunRef) -> dict[str, Any]:
        """Return the `run` attributes of ``RUN_PATHS``."""
        return nest(self._attributes.get((ref, "run"), ()))

    def last_point_us(self, ref: RunRef) -> int:
        """Return the time of the run's last point, 0 without one."""
        latest: tuple[int, int] = self._latest.get(ref, (0, 0))
        return latest[0]

    def fill(self, overview: RunOverview, *, now: float) -> None:
        """Add the run's columns as they are at ``now``."""
        ref = overview.ref
        config = nest(self._attributes.get((ref, "config"), ()))
        summary = self._summary(ref) if self._summaries else {}
        set_paths = self._set_paths(ref, "config")
        logged_paths = (
            self._set_paths(ref, "summary")
            | {each.metric for each in self._statistics.get(ref, ())}
            | set(self._texts.get((ref.project, ref.run_id), ()))
        )
        for text, path in self._columns.items():
            match path.kind:
                case Kind.RUN:
                    value = _field(overview, path.name, now)
                case Kind.CONFIG:
                    value = _whole(config, path.name, set_paths)
                case Kind.METRIC:
                    value = self._statistic(ref, path)
                case _:
                    value = _whole(summary, path.name, logged_paths)
                    if self._as_compared:
                        value = compared(value, definition_of(path.name, self._defined(ref)))
            if value is not _MISSING:
                overview.columns[text] = value

    def _set_paths(self, ref: RunRef, kind: str) -> set[str]:
        return {each.path for each in self._attributes.get((ref, kind), ()) if not each.deleted}

    def _read_texts(self) -> dict[tuple[str, str], dict[str, LastText]]:
        if not self._summaries:
            return {}
        return last_texts(self._question, self._where, _with_parents(self._summaries))

    def _read_others(self) -> dict[tuple[str, str], tuple[int, int]]:
        if not AUTOMATIC.intersection(self._summaries):
            return {}
        return last_rows(self._question, self._where)

    def _names(self, kind: Kind) -> list[str]:
        return sorted({path.name for path in self._columns.values() if path.kind is kind})

    def _read_attributes(
        self, definitions: Sequence[str]
    ) -> dict[tuple[RunRef, str], list[Assignment]]:
        wanted = {
            "run": list(RUN_PATHS),
            "config": _with_parents(self._configs),
            "summary": _with_parents(self._summaries),
            "define_metric": list(definitions),
        }
        kinds = {kind: paths for kind, paths in wanted.items() if paths}
        conditions = " OR ".join(
            f"(kind = '{kind}' AND path IN {{{kind}:Array(String)}})" for kind in kinds
        )
        rows = self._question.rows(
            "SELECT project, run_id, toString(kind) AS its_kind, path, toString(type) AS its_type, "
            "float, int, text, deleted, version FROM attributes_by_path "
            "WHERE project IN {projects:Array(String)} AND run_id IN {runs:Array(String)} "
            f"AND ({conditions})",
            {**self._where, **kinds},
        )
        newest: dict[tuple[RunRef, str, str], Assignment] = {}
        for row in rows:
            ref = self._refs.get((row["project"], row["run_id"]))
            if ref is None:
                continue
            value = untyped(row["its_type"], row["float"], row["int"], row["text"])
            each = Assignment(row["version"], row["path"], value, bool(row["deleted"]))
            key = (ref, row["its_kind"], row["path"])
            if key not in newest or newest[key].version <= each.version:
                newest[key] = each
        found: dict[tuple[RunRef, str], list[Assignment]] = {}
        for (ref, kind, _), each in newest.items():
            found.setdefault((ref, kind), []).append(each)
        return found

    def _read_latest(self) -> dict[RunRef, tuple[int, int]]:
        """Return (time in µs, highest step) of the last points."""
        rows = self._question.rows(
            "SELECT run_key, max(s.time_max) AS latest, max(s.last) AS newest "
            "FROM series_stats_by_run AS s "
            "WHERE project_id IN {ids:Array(UInt64)} AND run_key IN {keys:Array(UInt64)} "
            "GROUP BY run_key",
            self._numbers(),
        )
        return {
            self._by_key[row["run_key"]]: (row["latest"], _first(row["newest"])) for row in rows
        }

    def _read_statistics(self) -> dict[RunRef, list[SeriesStatistics]]:
        metrics = {path.name for path in self._columns.values() if path.kind is Kind.METRIC}
        for name in self._summaries:
            metrics |= {name, *parents_of(name)}
        by_id = {fingerprint(metric): metric for metric in metrics}
        found: dict[RunRef, list[SeriesStatistics]] = {}
        if not by_id:
            return found
        rows = self._question.rows(
            f"SELECT run_key, metric_id, {AGGREGATES} FROM series_stats "
            "WHERE project_id IN {ids:Array(UInt64)} AND metric_id IN {metrics:Array(UInt64)} "
            "AND run_key IN {keys:Array(UInt64)} GROUP BY run_key, metric_id",
            {**self._numbers(), "metrics": sorted(by_id)},
        )
        for row in rows:
            joined = statistics_from(by_id[row["metric_id"]], "", 0, row)
            found.setdefault(self._by_key[row["run_key"]], []).append(joined)
        return found

    def _numbers(self) -> dict[str, object]:
        projects = sorted({fingerprint(ref.project) for ref in self._started})
        return {"ids": projects, "keys": sorted(self._by_key)}

    def _summary(self, ref: RunRef) -> dict[str, Any]:
        summary = summarise(
            self._statistics.get(ref, ()),
            self._texts.get((ref.project, ref.run_id), {}),
            self._defined(ref),
            self._attributes.get((ref, "summary"), ()),
        )
        if AUTOMATIC.intersection(self._summaries):
            latest, step = latest_of(
                self._latest.get(ref), self._others.get((ref.project, ref.run_id))
            )
            add_automatic(summary, step=step, latest_us=latest, started_us=self._started[ref])
        return summary

    def _defined(self, ref: RunRef) -> dict[str, Any]:
        definitions = self._attributes.get((ref, "define_metric"), ())
        return {each.path: each.value for each in definitions}

    def _statistic(self, ref: RunRef, path: Path) -> Any:
        for each in self._statistics.get(ref, ()):
            if each.metric == path.name:
                value = each.statistic(path.statistic)
                return _MISSING if value is None else value
        return _MISSING


def _whole(values: Mapping[str, Any], path: str, known: AbstractSet[str]) -> Any:
    """Return the value at ``path``; `_MISSING` for a dict of which only some names were read.

    Args:
        known: the paths with a value of their own.
    """
    value = value_at(values, path, _MISSING)
    if isinstance(value, Mapping) and known.isdisjoint((path, *parents_of(path))):
        return _MISSING
    return value


def _with_parents(paths: Sequence[str]) -> list[str]:
    return sorted({each for path in paths for each in (path, *parents_of(path))})


def _first(held: Any) -> int:
    return int(next(iter(held.values())) if isinstance(held, dict) else held[0])


def _field(overview: RunOverview, name: str, now: float) -> Any:
    match name:
        case "id":
            return overview.run_id
        case "created":
            value: Any = overview.started_at
        case "ended":
            value = overview.ended_at
        case "seen":
            value = overview.last_seen
        case "duration":
            value = overview.duration_seconds(now)
        case "host":
            value = list(overview.hosts) or None
        case "tags":
            value = list(overview.tags) or None
        case "archived":
            value = overview.archived
        case _:
            value = getattr(overview, name) or None
    return _MISSING if value is None else value
