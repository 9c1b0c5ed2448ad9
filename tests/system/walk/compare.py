"""What the command line, the hub and the tables say, against the model."""

import json
import math
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from stepwell_hub.frames import decode_column, decode_frames
from tests.system.walk.model import Model, ModelRun, Picture, sorted_points
from tests.system.walk.site import Site, path_of
from tests.system.walk.trainer import pixels_of
from tests.waiting import wait_until

_AUTOMATIC = ("_timestamp", "_runtime")


def compare(site: Site, model: Model, *, by_hub: bool) -> None:
    """Compare all that is stored, after the site has settled.

    Args:
        by_hub: ask the hub as well; it must be there.

    Raises:
        AssertionError: Something is missing, wrong, or of a removed run.
    """
    listed = {
        (each["project"], each["run_id"]): each
        for each in site.json_of("runs", "--json", "--limit=0")
    }
    _same("runs", set(listed) - set(model.leaving), set(model.runs))
    if by_hub:
        _compare_lists(site, model)
        _compare_reports(site, model)
    for run in model.runs.values():
        shown = site.json_of("show", run.ref, "--json", "--tail=100000")
        _compare_overview(f"runs {run.ref}", run, listed[run.project, run.run_id])
        _compare_overview(f"show {run.ref}", run, shown)
        _compare_detail(f"show {run.ref}", run, shown)
        _compare_metrics(f"show {run.ref}", run, shown["metrics"])
        _compare_console(run, shown["console"])
        _compare_export(site, run)
        if by_hub:
            _compare_in_hub(site, run)
    _compare_tables(site, model)


def absent(site: Site, project: str, run_id: str, *, by_hub: bool) -> None:
    """Check that no part shows a removed run.

    Raises:
        AssertionError: A part does.
    """
    for words in (("show", f"{project}/{run_id}"), ("export", f"{project}/{run_id}", "-o", "-")):
        done = site.call(*words)
        assert done.code == 4, f"stepwell {' '.join(words)} of a removed run: {done}"
    if by_hub:
        status, data = site.hub("GET", path_of(project, run_id))
        assert status == 404, f"the hub has a removed run {project}/{run_id}: {status} {data!r}"


def leftovers(site: Site, project: str, run_id: str) -> dict[str, int]:
    """Return how many rows each table that names runs has of one."""
    tables = ("writers", "series", "attributes", "console", "texts", "events", "removed_writers")
    questions = [
        f"SELECT '{table}' AS held, count() AS n FROM {table} "
        f"WHERE project = '{project}' AND run_id = '{run_id}'"
        for table in tables
    ]
    rows = site.json_of("sql", " UNION ALL ".join(questions), "--format", "json")
    return {row["held"]: int(row["n"]) for row in rows if int(row["n"])}


# ---------------------------------------------------------------------- the command line


def _compare_overview(where: str, run: ModelRun, found: dict[str, Any]) -> None:
    _same(f"{where}: state", found["state"], run.state)
    _same(f"{where}: name", found["name"], run.name)
    _same(f"{where}: tags", sorted(found["tags"]), sorted(run.tags))
    _same(f"{where}: notes", found["notes"] or "", run.notes)


def _compare_detail(where: str, run: ModelRun, found: dict[str, Any]) -> None:
    _same(f"{where}: config", _plain(found["config"]), _plain(run.config))
    pictured = {metric for metric, _, _, _ in run.images}
    summary = {
        name: value
        for name, value in _plain(found["summary"]).items()
        if name not in _AUTOMATIC and name not in pictured
    }
    _same(f"{where}: summary", summary, _plain(run.summary()))
    points = sum(map(len, run.points().values()))
    _same(f"{where}: points", found["point_count"], points)
    _same(f"{where}: gaps", found["gap_count"], 0)


def _compare_metrics(where: str, run: ModelRun, found: list[dict[str, Any]]) -> None:
    expected = {}
    for metric, values in run.metrics().items():
        points = [each for each in values if each.is_point]
        if not points:
            continue
        finite = [each.value for each in points if math.isfinite(each.value)]
        expected[metric] = {
            "labels": len({label for name, label in run.points() if name == metric}),
            "count": len(points),
            "nan_count": sum(math.isnan(each.value) for each in points),
            "min": min(finite, default=None),
            "max": max(finite, default=None),
            "mean": sum(finite) / len(finite) if finite else None,
            "first": min(points).value,
            "last": max(points).value,
            "first_step": min(points).step,
            "last_step": max(points).step,
        }
    held = {
        each["metric"]: {
            **{name: each[name] for name in next(iter(expected.values()), {}) if name != "labels"},
            "labels": len(each["labels"]),
        }
        for each in found
    }
    _same(f"{where}: metrics", _plain(held), _plain(expected))


def _compare_console(run: ModelRun, found: list[dict[str, Any]]) -> None:
    for label in {each["label"] for each in found} | {each.label for each in run.writers}:
        lines = [each["text"] for each in found if each["label"] == label]
        asked_for = [line for line in lines if line.startswith("walk ")]
        _same(f"{run.ref}: each line of {label!r} once", len(set(asked_for)), len(asked_for))
        writers = [each for each in run.writers if each.label == label]
        must = [line for each in writers for line in each.must_print]
        may = {line for each in writers for line in (*each.must_print, *each.may_print)}
        missing = [line for line in must if line not in asked_for]
        assert not missing, f"{run.ref}: lines of {label!r} are missing: {missing[:5]}"
        kept = [line for line in asked_for if line in must]
        assert kept == must, f"{run.ref}: lines of {label!r} in another order: {kept[:20]}"
        foreign = [line for line in asked_for if line not in may]
        assert not foreign, f"{run.ref}: lines of {label!r} that it did not print: {foreign[:5]}"


def _compare_export(site: Site, run: ModelRun) -> None:
    done = site.call("export", run.ref, "-o", "-")
    assert done.code == 0, f"export {run.ref}: {done}"
    rows = [json.loads(line) for line in done.out.split("\n") if line]
    for row in rows:
        del row["_timestamp"]
    expected = _plain(run.history())
    for row, wanted in zip(rows, expected, strict=False):
        _same(f"export {run.ref}: step {wanted['_step']}", _plain(row), wanted)
    _same(f"export {run.ref}: rows", len(rows), len(expected))


# ---------------------------------------------------------------------- the hub


def _compare_lists(site: Site, model: Model) -> None:
    projects = site.hub_json("GET", "/projects?limit=1000")["projects"]
    counts = {each["project"]: each["run_count"] for each in projects}
    for project, _ in model.leaving:
        counts.pop(project, None)
    expected: dict[str, int] = {}
    for project, _ in model.runs:
        if not any(project == each for each, _ in model.leaving):
            expected[project] = expected.get(project, 0) + 1
    _same("the hub's projects", counts, expected)
    for project in expected:
        page = site.hub_json("POST", f"{path_of(project)}/runs/query", {"archived": True})
        held = {each["run_id"]: each for each in page["runs"]}
        runs = model.of_project(project)
        _same(f"the hub's runs of {project}", set(held), {run.run_id for run in runs})
        for run in runs:
            _compare_overview(f"the hub's list: {run.ref}", run, held[run.run_id])


def _compare_reports(site: Site, model: Model) -> None:
    """Compare the reports; those of a deleted project go a little later."""
    found: dict[str, dict[str, str]] = {}

    def are_same() -> bool:
        found.clear()
        for each in site.hub_json("GET", "/reports?limit=200")["reports"]:
            text = site.hub_json("GET", f"/reports/{each['id']}")["text"]
            found.setdefault(each["project"], {})[each["id"]] = text
        return found == model.reports

    try:
        wait_until(are_same, "the reports of the model")
    except AssertionError:
        _same("reports", found, model.reports)
        raise


def _compare_in_hub(site: Site, run: ModelRun) -> None:
    path = path_of(run.project, run.run_id)
    found = site.hub_json("GET", path)
    _compare_overview(f"hub {run.ref}", run, found)
    _compare_detail(f"hub {run.ref}", run, found)
    _compare_metrics(f"hub {run.ref}", run, site.hub_json("GET", f"{path}/metrics")["metrics"])
    points = run.points()
    names = sorted({metric for metric, _ in points})
    if names:
        body = {
            "runs": [run.run_id],
            "items": [{"metric": name} for name in names],
            "buckets": 4096,
            "labels": "apart",
        }
        status, data = site.hub("POST", f"{path_of(run.project)}/series", body)
        assert status == 200, f"series of {run.ref}: {status} {data!r}"
        for header, columns in decode_frames(data):
            assert "error" not in header, header
            for each in header["series"]:
                _compare_series(run, header, each, columns)
            held = {each["label"] for each in header["series"]}
            wanted = {label for name, label in points if name == header["metric"]}
            _same(f"hub {run.ref}: labels of {header['metric']}", held, wanted)
    _compare_images(site, run)


def _compare_series(
    run: ModelRun, header: dict[str, Any], each: dict[str, Any], columns: bytes
) -> None:
    where = f"hub {run.ref}: series {header['metric']} {each['label']!r}"
    points = run.points()[header["metric"], each["label"]]
    width = 2 ** header["level"]
    expected: dict[int, int] = {}
    for step, _ in points:
        expected[step // width] = expected.get(step // width, 0) + 1
    buckets = decode_column(columns, each["columns"]["bucket"], each["n"]) + each["base"]
    counts = decode_column(columns, each["columns"]["count"], each["n"])
    held = dict(zip(map(int, buckets), map(int, counts), strict=True))
    _same(f"{where}: points in buckets of {width} steps", held, expected)


def _compare_images(site: Site, run: ModelRun) -> None:
    page = site.hub_json("GET", f"{path_of(run.project, run.run_id)}/media?limit=1000")
    held = {}
    for value in page["values"]:
        (item,) = value["items"]
        assert item["state"] == "ready", f"hub {run.ref}: {item}"
        held[value["metric"], value["label"], value["step"]] = item["digest"]
    expected = {(metric, label, step): n for metric, label, step, n in run.images}
    _same(f"hub {run.ref}: images", set(held), set(expected))
    for place, digest in held.items():
        status, data = site.hub("GET", f"/blobs/{digest}")
        assert status == 200, f"hub {run.ref}: blob of {place}: {status}"
        pixels = np.asarray(Image.open(BytesIO(data)))
        wanted = pixels_of(expected[place])
        assert np.array_equal(pixels, wanted), f"hub {run.ref}: another picture at {place}"


# ---------------------------------------------------------------------- the tables


def _compare_tables(site: Site, model: Model) -> None:
    """Compare each point, also those that another one of its step hides, and what is counted."""
    rows = site.json_of(
        "sql",
        "SELECT project, run_id, metric, label, s.n AS n, points FROM "
        "(SELECT series, count() AS n, groupArray((step, value)) AS points FROM points "
        "GROUP BY series) AS s LEFT JOIN (SELECT * FROM series FINAL) AS names USING series",
        "--format",
        "json",
    )
    leaving = {(row["project"], row["run_id"]) for row in rows} & set(model.leaving)
    held: dict[tuple[str, ...], Any] = {}
    for row in rows:
        if (row["project"], row["run_id"]) not in leaving:
            pairs = [
                tuple(each.values() if isinstance(each, dict) else each) for each in row["points"]
            ]
            name = (row["project"], row["run_id"], row["metric"], row["label"])
            held[name] = sorted_points((int(step), float(value)) for step, value in pairs)
    expected = {
        (*run, *series): points
        for run, each in model.runs.items()
        for series, points in each.points().items()
    }
    _same("series in the table of points", set(held), set(expected))
    for name, points in expected.items():
        _same(f"points of {name}", _plain(held[name]), _plain(points))
    if model.leaving:
        return  # A sweep that removes what they sent goes from table to table.
    total = sum(map(len, expected.values()))
    for table in ("series_stats", "series_stats_by_run", "step_rollups"):
        where = " WHERE width = (SELECT min(width) FROM step_rollups)" * (table == "step_rollups")
        (row,) = site.json_of(
            "sql", f"SELECT sum(count) AS n FROM {table}{where}", "--format", "json"
        )
        _same(f"points counted in {table}", int(row["n"]), total)


# ---------------------------------------------------------------------- values


def _plain(value: Any) -> Any:
    """Return a value as both sides can hold it: no NaN, no -0, no int that is a float, no image."""
    if isinstance(value, Picture):
        return "picture"
    if isinstance(value, dict):
        if set(value) == {"$float"}:
            return value["$float"]
        if value.get("_type") == "image-file":
            return "picture"
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return round(float(value), 9)
    return value


def _same(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"{what}:\n  found    {_short(found)}\n  expected {_short(expected)}")


def _short(value: Any) -> str:
    text = repr(sorted(value) if isinstance(value, set) else value)
    return text if len(text) < 3000 else f"{text[:3000]} …"
