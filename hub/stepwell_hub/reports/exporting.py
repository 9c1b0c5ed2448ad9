"""Draws a report's panels with the numbers of this moment, for an exported file.

Each panel sends the page's queries to the store. A panel that fails is replaced by its error.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from stepwell_hub.endpoints import Call
from stepwell_hub.errors import ApiError
from stepwell_hub.reports.answers import Block, Report
from stepwell_hub.reports.blocks import AUTO
from stepwell_hub.reports.document import document_of
from stepwell_hub.reports.file import panel_html, problem_html, report_file
from stepwell_hub.reports.groups import group_runs
from stepwell_hub.reports.media_html import TABLE, MediaHtml
from stepwell_hub.reports.moments import moment_ticks
from stepwell_hub.reports.nodes_html import nodes_html
from stepwell_hub.reports.palette import group_marks, mark_of
from stepwell_hub.reports.panels import CHARTS_MAX
from stepwell_hub.reports.svg import (
    Line,
    heat_map,
    line_chart,
    ridge_rows,
    ridges,
    smoothed,
)
from stepwell_hub.reports.values import column_text, number_text, shown_value, value_text
from stepwell_hub.reports.words import (
    OWN,
    column_titles,
    cut_text,
    empty_html,
    least,
    most,
    not_drawn_text,
    pattern_of,
    quoted,
    table_html,
    x_text,
)
from stepwell_store import StoreError, queries
from stepwell_store.queries import XAxis

_FLUSH_SECONDS: Final = 10.0
_BUCKETS: Final = 400
_ROWS, _BINS = 128, 48
_NEWEST_RUNS: Final = 20
_NAMES_MAX: Final = 1000
_STEP_AXES: Final = {"_step": "step", "_timestamp": "time", "_runtime": "relative"}


async def export_report(call: Call, report: Report) -> str:
    """Return the report as one HTML file."""
    base = str(call.request.base_url)
    path = f"p/{quote(report.project, safe='')}/reports/{report.id}"
    await call.context.await_rows(_FLUSH_SECONDS)  # The file stays as it is now.
    now = time.time()
    document = await document_of(report.text)
    exporter = _Exporter(call, report.project, base, now)
    parts = [await exporter.block(block) for block in document.blocks]
    return await asyncio.to_thread(report_file, report, parts, now=now, address=f"{base}{path}")


class _Exporter:
    """Draws the blocks of one report, one after the other."""

    def __init__(self, call: Call, project: str, base: str, now: float) -> None:
        self._call = call
        self._project = project
        self._base = base
        self._now = now
        self._slots: dict[str, int] = {}
        self._drawer = MediaHtml(call, project, now)
        self._cut = ""  # The panel draws fewer runs than match.

    async def block(self, block: Block) -> str:
        if block.problems:
            return problem_html(block)
        if not block.panel:
            return f'<div class="text">{nodes_html(block.nodes, base=self._base)}</div>'
        draw: Callable[[Any], Awaitable[str]] = {
            "line": self._line,
            "runs": self._runs,
            "value": self._value,
            "media": self._media,
            "histogram": self._histogram,
            "table": self._table,
        }[block.panel]
        fields = block.fields or {}
        self._cut = ""
        try:
            inner = await draw(fields)
        except (ApiError, StoreError) as error:
            return problem_html(block, str(error))
        return panel_html(fields.get("title", ""), block.panel, inner)

    # ------------------------------------------------------------------ runs

    async def _chosen(
        self,
        fields: Any,
        *,
        columns: Sequence[str] = (),
        sort: Sequence[str] | None = None,
        limit: int | None = None,
        logged: Sequence[str] = (),
    ) -> list[Any]:
        """Return the panel's runs.

        Args:
            logged: metrics of which a run must have one. If none has, all runs are searched, for
                the words that say so. Runs that are named by id need none.
        """
        ids = fields["ids"]
        asked = () if ids else tuple(logged)
        named = "|".join(f'id:"{quoted(each)}"' for each in ids)
        for each in dict.fromkeys((asked, ())):
            page = await self._call.ask(
                queries.list_runs,
                self._project,
                filter=named or fields["runs"],
                sort=sort or fields.get("sort") or ("-started",),
                columns=columns,
                limit=limit or fields.get("limit", _NEWEST_RUNS),
                archived=bool(ids),
                logged=each,
                now=self._now,
            )
            if page.items:
                break
        runs = list(page.items)
        has_none = bool(asked) and not each  # Of all that match.
        self._cut = "" if has_none else cut_text(len(runs), page, fields)
        found = await self._call.context.colors.slots(self._project, runs)
        self._slots |= found.by_run
        return sorted(runs, key=lambda run: ids.index(run.run_id)) if ids else runs

    def _cut_html(self) -> str:
        return f'<p class="fact">{escape(self._cut)}</p>' if self._cut else ""

    def _none_html(self, words: str) -> str:
        """Return that no run has what the panel draws, with the runs that were read."""
        return empty_html(words) + self._cut_html()

    def _mark(self, run: Any) -> str:
        return mark_of(self._slots.get(run.run_id, 0), run.color)

    def _link(self, run: Any) -> str:
        path = f"p/{quote(run.project, safe='')}/runs/{quote(run.run_id, safe='')}"
        return (
            f'<span class="swatch" {self._mark(run)}></span> '
            f'<a href="{escape(self._base + path)}" rel="noopener noreferrer">'
            f"{escape(run.name or run.run_id)}</a>"
        )

    async def _runs(self, fields: Any) -> str:
        columns = [column for column in fields["columns"] if column != "name"]
        runs = await self._chosen(fields, columns=[each for each in columns if each not in OWN])
        if not runs:
            return empty_html("No run matches")
        titles = zip(("name", *columns), ("Run", *column_titles(columns)), strict=True)
        head = "".join(
            f'<th title="{escape(column)}">{escape(title)}</th>' for column, title in titles
        )
        rows = []
        for run in runs:
            cells = "".join(self._cell(run, column) for column in columns)
            rows.append(f"<tr><td>{self._link(run)}</td>{cells}</tr>")
        return table_html(head, rows) + self._cut_html()

    def _cell(self, run: Any, column: str) -> str:
        value = self._shown(run, column)
        kind = ' class="number"' if isinstance(value, int | float) else ""
        return f"<td{kind}>{escape(column_text(value, column))}</td>"

    def _shown(self, run: Any, column: str) -> Any:
        if column in OWN:
            return OWN[column](run, self._now)
        return shown_value(run.columns.get(column), column)

    async def _value(self, fields: Any) -> str:
        metric, best = fields["metric"], fields["best"]
        column = f"metric.{metric}:{best}"
        sort = {"last": "-started", "min": column, "max": f"-{column}"}[best]
        limit = _NEWEST_RUNS if best == "last" else 1
        logged = [metric] if best == "last" else []
        runs = await self._chosen(fields, columns=[column], sort=[sort], limit=limit, logged=logged)
        run = next((run for run in runs if run.columns.get(column) is not None), None)
        if run is None:
            which = "These runs have no" if self._cut else "No run has"
            if best != "last":
                newest = f"metric.{metric}:last"
                runs = await self._chosen(
                    fields, columns=[newest], sort=["-started"], limit=1, logged=[metric]
                )
                self._cut = ""  # Runs without the value come last.
                is_logged = any(each.columns.get(newest) is not None for each in runs)
                which = "No run has a finite value of" if is_logged else "No run has"
            return self._none_html(f"{which} {metric}")
        return (
            f'<div class="value"><span class="fact">{"newest" if best == "last" else best} '
            f"{escape(metric)}</span><b>{escape(value_text(run.columns[column]))}</b>{self._link(run)}</div>"
        )

    # ------------------------------------------------------------------ charts

    async def _line(self, fields: Any) -> str:
        group = fields["group"]
        own = group in OWN
        columns = [group] if group and not own else []
        logged = [] if fields["match"] else fields["metrics"]
        runs = await self._chosen(fields, columns=columns, logged=logged)
        if not runs:
            return empty_html("No run matches")
        ids = [run.run_id for run in runs]
        names, axes = await self._metrics(fields, ids)
        groups: dict[str, list[str]] = {}
        if group:
            grouped = group_runs(runs, lambda run: self._group_value(run, group))
            groups = {name: [run.run_id for run in inside] for name, inside in grouped.items()}
        marks = self._marks(runs, groups)
        charts = []
        for metric in names[:CHARTS_MAX]:
            x = axes.get(metric, "step") if fields["x"] == AUTO else fields["x"]
            asked = (queries.group_bands, groups) if groups else (queries.series_buckets, ids)
            found = await self._call.ask(
                asked[0], self._project, asked[1], [metric], x=XAxis.parse(x), buckets=_BUCKETS
            )
            charts.append(self._chart(metric, x, found[0], runs, groups, marks, fields))
        if not charts:
            return self._none_html("These runs have no such metric")
        cut = ""
        if len(names) > CHARTS_MAX:
            cut = f'<p class="fact">The first {CHARTS_MAX} of {len(names)} metrics.</p>'
        legend = self._legend(runs, groups, marks)
        return f'<div class="charts">{"".join(charts)}</div>{cut}{legend}{self._cut_html()}'

    def _group_value(self, run: Any, group: str) -> Any:
        value = self._shown(run, group)
        return None if value == "" and group in OWN else value  # Such as a run without a group.

    async def _metrics(self, fields: Any, ids: list[str]) -> tuple[list[str], dict[str, str]]:
        """Return the metrics to draw, and the x of metrics that have one from define_metric."""
        named = list(fields["metrics"])
        found: list[str] = []
        if fields["match"]:
            page = await self._call.ask(
                queries.list_metrics,
                self._project,
                run_ids=ids,
                search=fields["match"],
                limit=_NAMES_MAX,
            )
            found = [each.metric for each in page.items]
        names = list(dict.fromkeys([*named, *found]))
        axes = {}
        if fields["x"] == AUTO:
            for name in names[:CHARTS_MAX]:
                page = await self._call.ask(
                    queries.list_metrics,
                    self._project,
                    run_ids=ids,
                    search=f"^{pattern_of(name)}$",
                    limit=1,
                )
                for each in page.items:
                    if each.step_metric:
                        over = f"metric:{each.step_metric}"
                        axes[name] = _STEP_AXES.get(each.step_metric, over)
        return names, axes

    def _chart(
        self,
        metric: str,
        x: str,
        found: Any,
        runs: list[Any],
        groups: dict[str, list[str]],
        marks: dict[str, str],
        fields: Any,
    ) -> str:
        lines, rows = [], []
        by_id = {run.run_id: run for run in runs}
        for one in found.bands if groups else found.series:
            if groups:
                name, mark = one.group, marks[one.group]
            else:
                run = by_id[one.run_id]
                name, mark = run.name or run.run_id, self._mark(run)
            middle = _middles(one, found.width) if groups else one.last_x
            spread = (one.mean - one.std, one.mean + one.std) if groups else (one.min, one.max)
            half_life = fields["smooth"]
            y = smoothed(middle, one.mean, one.count, half_life) if half_life else one.mean
            lines.append(Line(name, mark, np.asarray(middle, float), y, *spread))
            last = _last(one, of_group=bool(groups))
            ends = [
                number_text(float(end)) if np.isfinite(end) else "–"
                for end in (least(one.min), most(one.max))
            ]
            rows.append(
                f"<tr><td>{escape(name)}</td>"
                + "".join(f'<td class="number">{each}</td>' for each in (last, *ends))
                + f'<td class="number">{int(one.count.sum()):,}</td></tr>'
            )
        drawn = line_chart(
            lines,
            label=f"{metric} of {len(lines)} lines over {x.removeprefix('metric:')}",
            y_scale=fields["y"],
            x_text=x_text(x),
            x_ticks=moment_ticks if x == "time" else None,
        )
        head = "<th>line</th><th>last</th><th>lowest</th><th>highest</th><th>points</th>"
        numbers = f"<details><summary>Numbers</summary>{table_html(head, rows)}</details>"
        over = x.removeprefix("metric:")
        smooth = f", smoothed by a half-life of {fields['smooth']:g}" if fields["smooth"] else ""
        drawn_of = found.bands if groups else found.series
        hidden = not_drawn_text(drawn_of, x=x, y_scale=fields["y"])
        return (
            f'<figure data-metric="{escape(metric)}"><span class="mono">{escape(metric)}</span>'
            f"{drawn or empty_html('These runs have no points of it that can be drawn')}"
            f"<figcaption>over {escape(over)}{smooth}{escape(hidden)}</figcaption>"
            f"{numbers if rows else ''}</figure>"
        )

    def _marks(self, runs: list[Any], groups: dict[str, list[str]]) -> dict[str, str]:
        by_id = {run.run_id: run for run in runs}
        return group_marks(
            {name: [by_id[each] for each in ids] for name, ids in groups.items()}, self._slots
        )

    def _legend(self, runs: list[Any], groups: dict[str, list[str]], marks: dict[str, str]) -> str:
        if groups:
            entries = [
                f'<li><span class="swatch" {marks[name]}></span> {escape(name)} ({len(ids)})</li>'
                for name, ids in groups.items()
            ]
        else:
            entries = [f"<li>{self._link(run)}</li>" for run in runs]
        return f'<ul class="legend">{"".join(entries)}</ul>'

    async def _histogram(self, fields: Any) -> str:
        metric = fields["metric"]
        for run in await self._chosen(fields, logged=[metric]):
            found = await self._call.ask(
                queries.histogram_matrix,
                self._project,
                run.run_id,
                metric,
                rows_max=_ROWS,
                bins=_BINS,
            )
            if len(found.steps) == 0:
                continue
            is_ridge = fields["mode"] == "ridge"
            rows = ridge_rows(len(found.steps)) if is_ridge else list(range(len(found.steps)))
            drawn = (ridges if is_ridge else heat_map)(
                found.steps[rows],
                found.counts[rows],
                low=found.low,
                high=found.high,
                label=f"{len(rows)} histograms of {metric} over steps",
            )
            return (
                f'<figure><span class="mono">{escape(metric)}</span>{drawn}'
                f"<figcaption>{self._link(run)}, {len(rows)} of {found.step_count} steps"
                "</figcaption></figure>"
            )
        return self._none_html(f"These runs have no histograms {metric}")

    # ------------------------------------------------------------------ media

    async def _media(self, fields: Any) -> str:
        runs = await self._chosen(fields, logged=[fields["metric"]])
        parts = []
        for run, value in await self._drawer.values(
            runs, fields["metric"], step=fields.get("step")
        ):
            label = f", {escape(value.label)}" if value.label else ""
            parts.append(
                f'<p class="fact">{self._link(run)} '
                f"{escape(value.metric)}, step {value.step:,}{label}</p>"
                f"{await self._drawer.value(run, value)}"
            )
        if not parts:
            return self._none_html(f"These runs have no media {fields['metric']}")
        return "".join(parts) + self._cut_html()

    async def _table(self, fields: Any) -> str:
        runs = await self._chosen(fields, logged=[fields["metric"]])
        for run, value in await self._drawer.values(runs, fields["metric"]):
            if value.type == TABLE and value.items:
                where = f", step {value.step:,} of {self._link(run)}"
                return await self._drawer.rows(run, value.items[0], fields["rows"], where)
        return self._none_html(f"These runs have no table {fields['metric']}")


def _last(one: Any, *, of_group: bool) -> str:
    """Return the newest value of a series, or the last mean of a band, as text."""
    if len(one.bucket) == 0:
        return "–"
    if of_group:
        return number_text(float(one.mean[-1]))
    if one.newest is None:
        return number_text(float(one.last[-1]))
    return number_text(float(one.newest[np.argmax(one.newest_step)]))


def _middles(band: Any, width: float) -> Any:
    """Return the x of a band's buckets, the middle of the points if that is known."""
    if band.first_x is not None:
        return (band.first_x + band.last_x) / 2
    return band.bucket if width == 1 else (band.bucket + 0.5) * width
