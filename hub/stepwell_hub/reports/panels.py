"""The kinds of panels, and their fields. The page's help and the docs list these."""

from typing import Final

from stepwell_hub.reports.answers import Field, PanelKind

RUNS_MAX: Final = 100
NAMES_MAX: Final = 50
CHARTS_MAX: Final = 24
"""Charts of one line panel."""
TEXT_CHARACTERS_MAX: Final = 1000

_TITLE: Final = Field("title", "text", "words above the panel", "")
_RUNS: Final = (
    Field("runs", "filter", "filter of the runs; default: all", ""),
    Field("ids", "names", "ids of the runs", ()),
    Field(
        "sort", "paths", "order of the runs: paths, - before one reverses its order", ("-started",)
    ),
)
_METRIC: Final = Field("metric", "text", "name of the metric", required=True)


def _limit(default: int, more: str = "") -> Field:
    about = f"maximum number of runs, 1 to {RUNS_MAX}{more}"
    return Field("limit", "integer", about, default, low=1, high=RUNS_MAX)


KINDS: Final = {
    each.name: each
    for each in (
        PanelKind(
            "line",
            "charts of metrics, a line for each run",
            (
                Field("metrics", "names", "names of metrics, a chart for each", ()),
                Field("match", "pattern", "RE2: also the metrics that match it", ""),
                Field("x", "axis", "auto, step, time, relative or metric:NAME", "auto"),
                Field("y", "choice", "scale", "linear", choices=("linear", "log", "symlog")),
                Field("smooth", "number", "half-life in steps", 0.0, low=0, high=1e6),
                Field("group", "path", "one line for each value: group, state, config.PATH", ""),
                *_RUNS,
                _limit(10, f"; with group {RUNS_MAX} if not given"),
                _TITLE,
            ),
            "panel: line\nmetrics: train/loss, val/loss\nruns: state:finished\nlimit: 5",
        ),
        PanelKind(
            "runs",
            "a table of runs",
            (
                Field(
                    "columns",
                    "paths",
                    "paths: config.lr, summary.loss, metric.loss:min, state",
                    ("state", "started", "duration"),
                ),
                *_RUNS,
                _limit(20),
                _TITLE,
            ),
            "panel: runs\ncolumns: config.lr, metric.val/loss:min, duration\n"
            "sort: metric.val/loss:min\nlimit: 10",
        ),
        PanelKind(
            "value",
            "one number, and its run",
            (
                _METRIC,
                Field(
                    "best",
                    "choice",
                    "min or max: the best value of all runs; last: the newest run's last value",
                    "last",
                    choices=("last", "min", "max"),
                ),
                *_RUNS[:2],
                _TITLE,
            ),
            "panel: value\nmetric: val/loss\nbest: min",
        ),
        PanelKind(
            "media",
            "images and other media that runs logged",
            (
                _METRIC,
                Field(
                    "step",
                    "integer",
                    "at this step or before it; default: the newest",
                    low=-(2**53),
                    high=2**53,
                ),
                *_RUNS,
                _limit(4),
                _TITLE,
            ),
            "panel: media\nmetric: samples\nlimit: 2",
        ),
        PanelKind(
            "histogram",
            "histograms over the steps, of the first run that has some",
            (
                _METRIC,
                Field("mode", "choice", "form of the chart", "heat", choices=("heat", "ridge")),
                *_RUNS,
                _TITLE,
            ),
            "panel: histogram\nmetric: gradients/layer1",
        ),
        PanelKind(
            "table",
            "a logged table, of the first run that has it",
            (
                _METRIC,
                Field("rows", "integer", "number of rows, 1 to 200", 20, low=1, high=200),
                *_RUNS,
                _TITLE,
            ),
            "panel: table\nmetric: predictions\nrows: 10",
        ),
    )
}
