"""Charts of tables: their tables, and what `log` keeps and says of them."""

from typing import Any

import numpy as np
import pytest

from stepwell import Table, plot
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start

TRUTHS = [0, 1, 2, 2, 1, 0, 1, 2, 0, 1, 2, 0]
SCORES = np.random.default_rng(3).dirichlet([1, 1, 1], len(TRUTHS)).round(1)  # Some are equal.


def rows(chart: plot.CustomChart) -> list[list[Any]]:
    assert chart.table is not None
    return chart.table.data


def columns(chart: plot.CustomChart) -> list[Any]:
    assert chart.table is not None
    return chart.table.columns


def test_log_keeps_the_table_and_says_that_no_chart_is_drawn(
    start: Start, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(columns=["a", "b"], data=[[1, 2], [3, 4]])
    run = start()
    for _ in range(2):
        run.log({"bars": plot.bar(table, "a", "b", title="Bars"), "loss": 1})
    run.log(
        {
            "matrix": plot.confusion_matrix(preds=[0, 1], y_true=[0, 0], class_names=["x", "y"]),
            "own": plot.plot_table("me/chart", table, {"x": "a"}, {"title": "Own"}),
            "none": plot.line(None, "x", "y", title="t"),
        }
    )
    run.finish()
    values = {}
    for event in daemon.events("values"):
        values.update(event.body["values"])
    kept = {"_type": "table-file", "nrows": 2, "ncols": 2, "columns": ["a", "b"]}
    for name, title in {"bars": "Bars", "own": "Own"}.items():
        assert values[name].pop("blob") in daemon.blobs
        assert values[name] == {**kept, "caption": title}
    assert values["matrix"]["columns"] == ["Actual", "Predicted", "nPredictions"]
    assert values["matrix"]["nrows"] == 4
    assert values["none"] == {"_type": "custom-chart", "kept": False, "caption": "t"}
    said = [line for line in capsys.readouterr().err.splitlines() if "not available yet" in line]
    table_is_kept = "no chart is drawn, its data is recorded as a table"
    assert [line.split()[1] for line in said] == [
        *("plot.bar()", "plot.confusion_matrix()", "plot_table()", "plot.line()")
    ]
    assert [table_is_kept in line for line in said] == [True, True, True, False]


def test_a_confusion_matrix_counts_every_pair() -> None:
    truths, guesses = [0, 1, 1, 2], np.array([0, 1, 2, 2])
    found = rows(plot.confusion_matrix(y_true=truths, preds=guesses, class_names=["a", "b", "c"]))
    assert [row for row in found if row[2]] == [
        ["a", "a", 1],
        ["b", "b", 1],
        ["b", "c", 1],
        ["c", "c", 1],
    ]
    assert len(found) == 9
    scores = np.eye(3)[guesses]
    by_scores = plot.confusion_matrix(probs=scores, y_true=truths, class_names=["a", "b", "c"])
    assert rows(by_scores) == found
    unnamed = rows(plot.confusion_matrix(preds=["cat", "dog"], y_true=["dog", "dog"]))
    assert unnamed == [
        ["Class_1", "Class_1", 0],
        ["Class_1", "Class_2", 0],
        ["Class_2", "Class_1", 1],
        ["Class_2", "Class_2", 1],
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"preds": [1]}, "give y_true"),
        ({"preds": [1], "probs": [[1]], "y_true": [1]}, "one of probs and preds"),
        ({"preds": [1], "y_true": [1, 2]}, "1 predictions for 2 values"),
        ({"preds": [1], "y_true": [5], "class_names": ["a", "b"]}, "others: 5"),
    ],
)
def test_a_confusion_matrix_refuses_what_does_not_fit(given: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        plot.confusion_matrix(**given)


def test_a_series_of_lines_is_one_table() -> None:
    shared = plot.line_series(range(2), [[1, 2], np.array([3, 4])])
    assert columns(shared) == ["step", "lineKey", "lineVal"]
    assert rows(shared) == [
        [0, "line_0", 1],
        [1, "line_0", 2],
        [0, "line_1", 3],
        [1, "line_1", 4],
    ]
    own = plot.line_series([[0, 1], [7]], [[1, 2], [3]], keys=["a", "b"])
    assert rows(own) == [[0, "a", 1], [1, "a", 2], [7, "b", 3]]
    with pytest.raises(ValueError, match="1 keys for 2 ys"):
        plot.line_series([0, 1], [[1, 2], [3, 4]], keys=["a"])


def test_the_curves_of_a_classifier_are_those_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    names = ["a", "b", "c"]
    roc = rows(plot.roc_curve(TRUTHS, SCORES, labels=names))
    pr = rows(plot.pr_curve(TRUTHS, SCORES.tolist(), interp_size=11))
    for each, name in enumerate(names):
        scores = SCORES[:, each]
        fpr, tpr, _ = metrics.roc_curve(TRUTHS, scores, pos_label=each)
        assert [row[1:] for row in roc if row[0] == name] == [
            [round(one, 3), round(other, 3)] for one, other in zip(fpr, tpr, strict=True)
        ]
        precision, recall, _ = metrics.precision_recall_curve(TRUTHS, scores, pos_label=each)
        assert [row[1:] for row in pr if row[0] == each] == [
            [round(max(precision[recall >= wanted - 1e-12]), 3), round(wanted, 3)]
            for wanted in np.linspace(0, 1, 11)[::-1]
        ]


def test_curves_of_some_classes_and_of_no_scores() -> None:
    assert {row[0] for row in rows(plot.roc_curve(TRUTHS, SCORES, classes_to_plot=[1]))} == {1}
    only_ones = rows(plot.pr_curve([1, 1], [[0.5], [0.1]], interp_size=3))
    assert only_ones == [[1, 1.0, 1.0], [1, 1.0, 0.5], [1, 1.0, 0.0]]
    assert plot.roc_curve([0, 1]).table is None
    with pytest.raises(ValueError, match="a column for each of 3 classes"):
        plot.roc_curve(TRUTHS, SCORES[:, 0])


def test_a_long_curve_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.plot._CURVE_POINTS_MAX", 10)
    truths = np.random.default_rng(0).integers(0, 2, 1000)
    scores = np.random.default_rng(1).random((1000, 2))
    found = rows(plot.roc_curve(truths, scores, classes_to_plot=[1]))
    assert len(found) == 10
    assert (found[0], found[-1]) == ([1, 0.0, 0.0], [1, 1.0, 1.0])
