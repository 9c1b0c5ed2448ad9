"""Hints for a filter that finds no run: its paths that no run has, with the nearest existing ones.

They are computed only when a filter found no run, so other lists cost no more. A path that exists
in one run is no mistake, and neither is a half-typed text: these are hints, not errors.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from stepwell_store.queries.filter import (
    STATISTICS,
    Compare,
    compares_of,
    parse_filter,
    words_of,
)
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.paths import FIELDS, Kind, Path, parse_path
from stepwell_store.queries.slots import AUTOMATIC
from stepwell_store.store import Store

_KNOWN_MAX: Final = 5000
_HINTS_MAX: Final = 5
_NEAREST: Final = 3
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_VALUES: Final = frozenset(("nan", "inf", "none", "null", "true", "false"))
_FOREIGN: Final = frozenset(("and", "or", "not", "&", "&&", ","))
_FIELDS_OF_RUNS: Final = {
    "started_at": "created",
    "created_at": "created",
    "ended_at": "ended",
    "last_seen": "seen",
    "hosts": "host",
}
"""Names in the JSON of runs, and the paths that ask for the same."""
_OPERATIONS: Final = ("min", "max", "mean", "first", "last", "best", "copy")

_NAMES: Final = """
SELECT what, name FROM (
    SELECT toString(kind) AS what, path AS name FROM attributes_by_path
    WHERE {of_project}kind IN ('config', 'summary'){of_paths} GROUP BY what, name LIMIT {limit}
    UNION ALL
    SELECT 'metric' AS what, metric AS name FROM series
    WHERE {of_project}1{of_metrics} GROUP BY what, name LIMIT {limit}
    UNION ALL
    SELECT 'summary' AS what, metric AS name FROM texts
    WHERE {of_project}1{of_metrics} GROUP BY what, name LIMIT {limit}
)
"""


def filter_hints(
    store: Store, project: str | None, filter_text: str, *, limits: Limits = DEFAULT
) -> tuple[str, ...]:
    """Return sentences about likely mistakes in ``filter_text``, which matches no run.

    One for each path that no run of ``project`` has, one for each value in the form of something
    else, one on single quotes, and one on the operators of other languages.

    Args:
        project: None for all projects.

    Raises:
        FilterError: ``filter_text`` is not a filter.
    """
    asked: dict[str, Path] = {}
    parsed = parse_filter(filter_text)
    compares = tuple(compares_of(parsed))
    for compare in compares:
        path = parse_path(compare.path)
        if path.kind is not Kind.RUN and not _is_absence(compare):
            asked[compare.path] = path
    found = _hints(store, project, asked, limits)
    found += tuple(filter(None, map(_odd_value_hint, compares)))
    if any(each.value.startswith("'") and not each.quoted for each in compares):
        found += ('quote a value with "…"; single quotes are characters of the value',)
    foreign = [each for each in words_of(parsed) if each.lower() in _FOREIGN]
    foreign += [each.value for each in compares if each.value.endswith(",") and not each.quoted]
    if foreign:
        found += (
            f"{foreign[0]!r} is taken as text; a space between conditions means AND, | means OR, "
            "- before a condition means NOT",
        )
    return found


def _odd_value_hint(compare: Compare) -> str:
    """Return that a value has the form of something else, else an empty text."""
    path, value = parse_path(compare.path), compare.value
    if compare.operator != ":" or compare.quoted:
        return ""
    word = value.partition(">")[0].partition("<")[0].partition("=")[0]
    if path.kind is Kind.METRIC and _WORD.fullmatch(word) and word.lower() not in _VALUES:
        return f"a metric has no {word!r}; its statistics are {', '.join(STATISTICS)}"
    if word != value:
        return f"{compare.path} is compared with the text {value!r}"
    return ""


def path_hints(
    store: Store, project: str | None, paths: Sequence[str], *, limits: Limits = DEFAULT
) -> tuple[str, ...]:
    """Return a sentence for each of ``paths``, of columns or a sort, that no run has."""
    parsed = {text: parse_path(text) for text in paths}
    asked = {text: path for text, path in parsed.items() if path.kind is not Kind.RUN}
    return _hints(store, project, asked, limits)


def _hints(
    store: Store, project: str | None, asked: Mapping[str, Path], limits: Limits
) -> tuple[str, ...]:
    if not asked:
        return ()
    question = Question(store, limits)
    names = {path.name for path in asked.values()}
    metrics = {metric for name in names if (metric := _operated_metric(name)) is not None}
    known = _known(question, project, sorted(names | metrics))
    wrong = [text for text, path in asked.items() if not _exists(path, known)]
    if not wrong:
        return ()
    candidates = _candidates(_known(question, project))
    return tuple(_hint(text, candidates) for text in wrong[:_HINTS_MAX])


def _is_absence(compare: Compare) -> bool:
    return compare.operator == "!=" or (compare.value in ("none", "null") and not compare.quoted)


def _known(
    question: Question, project: str | None, names: Sequence[str] | None = None
) -> set[tuple[str, str]]:
    """Return the existing (config, summary or metric; name) pairs: of ``names``, or some of all."""
    parameters: dict[str, object] = {}
    of_project = of_paths = of_metrics = ""
    if project is not None:
        of_project, parameters["project"] = "project = {project:String} AND ", project
    if names is not None:
        of_paths = " AND path IN {names:Array(String)}"
        of_metrics = " AND metric IN {names:Array(String)}"
        parameters["names"] = list(names)
    sql = _NAMES.format(
        of_project=of_project, of_paths=of_paths, of_metrics=of_metrics, limit=_KNOWN_MAX
    )
    return {(row["what"], row["name"]) for row in question.rows(sql, parameters)}


def _operated_metric(name: str) -> str | None:
    """Return METRIC of METRIC.OPERATION, the place of a defined summary; else None."""
    metric, dot, operation = name.rpartition(".")
    return metric if dot and operation in _OPERATIONS else None


def _exists(path: Path, known: set[tuple[str, str]]) -> bool:
    if path.name in AUTOMATIC and path.kind not in (Kind.CONFIG, Kind.METRIC):
        return True  # Every run with points has it, without a stored value.
    in_summary = {("summary", path.name), ("metric", path.name)}
    if (metric := _operated_metric(path.name)) is not None:
        in_summary.add(("metric", metric))
    match path.kind:
        case Kind.CONFIG:
            return ("config", path.name) in known
        case Kind.METRIC:
            return ("metric", path.name) in known
        case Kind.SUMMARY:
            return not known.isdisjoint(in_summary)
    return not known.isdisjoint(in_summary | {("config", path.name)})


def _candidates(known: set[tuple[str, str]]) -> list[str]:
    bare = {name for _, name in known}
    qualified = {f"{what}.{name}" for what, name in known}
    return sorted(bare | qualified | set(FIELDS) | AUTOMATIC)


_KINDS: Final = (Kind.CONFIG.value, Kind.SUMMARY.value, Kind.METRIC.value)


def _nearest(text: str, candidates: Sequence[str]) -> list[str]:
    """Return names like ``text``. A common beginning such as "config." does not make two alike."""
    what, _, name = text.partition(".")
    if what not in _KINDS:
        return difflib.get_close_matches(text, candidates, _NEAREST, cutoff=0.6)
    paths: dict[str, str] = {}  # By the name; of the kind that was asked for, if there is one.
    for each in candidates:
        kind, _, rest = each.partition(".")
        if kind == what or (kind in _KINDS and rest not in paths):
            # A metric has a summary value of its name.
            is_summary = (what, kind) == (Kind.SUMMARY.value, Kind.METRIC.value)
            paths[rest] = f"{what}.{rest}" if is_summary else each
    return [paths[each] for each in difflib.get_close_matches(name, paths, _NEAREST, cutoff=0.6)]


def _hint(text: str, candidates: Sequence[str]) -> str:
    if text in _FIELDS_OF_RUNS:
        return f"no run has {text!r}; did you mean {_FIELDS_OF_RUNS[text]}?"
    head, _, statistic = text.rpartition(":")
    statistic_of = f"metric.{head.removeprefix('summary.')}"
    if statistic in STATISTICS and statistic_of in candidates:
        return f"no run has {text!r}; did you mean {statistic_of}:{statistic}?"
    nearest = _nearest(text, candidates)
    nearest += [name for name in candidates if name.startswith(f"{text}.")][:_NEAREST]
    if not nearest:
        return f"no run has {text!r}"
    return f"no run has {text!r}; did you mean {', '.join(dict.fromkeys(nearest))}?"
