"""A project's facts about the paths of a request. They are read first, so that the query that finds
the runs reads only needed columns and is cheap to plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from stepwell_store.queries.limits import Question
from stepwell_store.queries.paths import Kind, Path, parents_of

_FACTS: Final = """
SELECT toString(kind) AS what, path AS name FROM attributes_by_path
WHERE {of_project}(
    (kind = 'config' AND path IN {{configs:Array(String)}})
    OR (kind = 'summary' AND path IN {{summaries:Array(String)}})
    OR (kind = 'define_metric' AND path IN {{defined:Array(String)}})
    OR (kind = 'run' AND path = 'archived')
) GROUP BY what, name
UNION ALL
SELECT 'resumed' AS what, '' AS name FROM writers
WHERE {of_project}resumed > 0 GROUP BY what, name
"""
_TEXTS: Final = """
UNION ALL
SELECT 'text' AS what, metric AS name FROM texts
WHERE {of_project}metric IN {{metrics:Array(String)}} GROUP BY what, name
"""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts of a project.

    Attributes:
        resolved: the meaning of each path. A bare name is config if a run has such a path, else
            summary.
        definitions: names of ``define_metric`` that may affect the summaries.
        parents: (kind, path) that were set or deleted above one of the paths.
        texts: metrics of the summaries with a logged value that is not a float.
        any_archived, any_resumed: whether a run was ever archived, or resumed.
    """

    resolved: dict[Path, Path]
    definitions: frozenset[str]
    parents: frozenset[tuple[str, str]]
    texts: frozenset[str]
    any_archived: bool
    any_resumed: bool


def read_facts(question: Question, project: str | None, paths: Iterable[Path]) -> RunFacts:
    """Return the facts of ``project`` (None: any) about ``paths``."""
    asked = list(dict.fromkeys(paths))
    bare = {path.name for path in asked if path.kind is Kind.BARE}
    configs = {path.name for path in asked if path.kind is Kind.CONFIG}
    summaries = bare | {path.name for path in asked if path.kind is Kind.SUMMARY}
    above = {each for name in configs | summaries for each in parents_of(name)}
    parameters: dict[str, object] = {
        "configs": sorted(bare | above),
        "summaries": sorted(above),
        "defined": sorted({name for path in summaries for name in operated_names(path)}),
    }
    sql = _FACTS
    if summaries:
        sql += _TEXTS
        parameters["metrics"] = sorted(
            {each for name in summaries for each in (name, *parents_of(name))}
        )
    if project is not None:
        parameters["project"] = project
    of_project = "" if project is None else "project = {project:String} AND "
    rows = question.rows(sql.format(of_project=of_project), parameters)
    found = {(row["what"], row["name"]) for row in rows}

    def meaning(path: Path) -> Path:
        if path.kind is not Kind.BARE:
            return path
        is_config = ("config", path.name) in found
        return Path(Kind.CONFIG if is_config else Kind.SUMMARY, path.name)

    return RunFacts(
        resolved={path: meaning(path) for path in asked},
        definitions=frozenset(name for what, name in found if what == "define_metric"),
        parents=frozenset(each for each in found if each[0] in ("config", "summary")),
        texts=frozenset(name for what, name in found if what == "text"),
        any_archived=("run", "archived") in found,
        any_resumed=("resumed", "") in found,
    )


def definition_names(metric: str) -> list[str]:
    """Return the names of ``define_metric`` that may apply to ``metric``, best match first."""
    return [metric, *(f"{metric[:count]}*" for count in range(len(metric), -1, -1))]


def operated_names(summary_path: str) -> list[str]:
    """Return every name of ``define_metric`` that affects a summary path."""
    whole, dot, _ = summary_path.rpartition(".")
    return [*definition_names(summary_path), *(definition_names(whole) if dot else [])]
