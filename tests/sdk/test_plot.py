"""Charts of tables: their tables, and what `log` keeps and says of them."""

import itertools
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


def logged(daemon: RecordingDaemon) -> dict[str, Any]:
    """Return all values that were logged, by name."""
    values: dict[str, Any] = {}
    for event in daemon.events("values"):
        values.update(event.body["values"])
    return values


def lines_of(text: str) -> list[str]:
    """Return the lines about charts."""
    return [line for line in text.splitlines() if "chart" in line or "plot" in line]


def test_log_keeps_each_kind_of_chart_with_its_table(
    start: Start, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(columns=["a", "b", "c"], data=[[1, 2, "x"], [3, 4, "y"]])
    run = start()
    run.log(
        {
            "line": plot.line(table, "a", "b", stroke="c", title="Line"),
            "plain": plot.line(table, "a", "b"),
            "lines": plot.line_series([0, 1], [[1, 2]], title="Lines", xname="epoch"),
            "scatter": plot.scatter(table, "b", "a", title="Dots"),
            "bars": plot.bar(table, "c", "b", title="Bars"),
            "bins": plot.histogram(table, "b"),
            "matrix": plot.confusion_matrix(preds=[0, 1], y_true=[0, 0], class_names=["x", "y"]),
            "roc": plot.roc_curve(TRUTHS, SCORES),
            "pr": plot.pr_curve(TRUTHS, SCORES, title="PR"),
            "loss": 1,
        }
    )
    run.finish()
    assert lines_of(capsys.readouterr().err) == []
    values = logged(daemon)
    assert values["line"].pop("blob") in daemon.blobs
    kept = {"_type": "table-file", "nrows": 2, "ncols": 3, "columns": ["a", "b", "c"]}
    chart = {"kind": "line", "x": 0, "y": 1, "series": 2}
    assert values["line"] == {**kept, "caption": "Line", "chart": chart}
    assert "caption" not in values["plain"]
    lines = {"kind": "line", "x": 0, "y": 2, "series": 1}
    roc = {"kind": "curve", "x": 1, "y": 2, "series": 0, "diagonal": True}
    pr = {"kind": "curve", "x": 2, "y": 1, "series": 0}
    assert {name: value["chart"] for name, value in values.items() if "chart" in value} == {
        "line": chart,
        "plain": {"kind": "line", "x": 0, "y": 1},
        "lines": {**lines, "x_title": "epoch", "y_title": "y"},
        "scatter": {"kind": "scatter", "x": 1, "y": 0},
        "bars": {"kind": "bar", "label": 2, "value": 1},
        "bins": {"kind": "histogram", "value": 1},
        "matrix": {"kind": "confusion_matrix", "actual": 0, "predicted": 1, "count": 2},
        "roc": {**roc, "x_title": "False positive rate", "y_title": "True positive rate"},
        "pr": {**pr, "x_title": "Recall", "y_title": "Precision"},
    }


def test_plot_table_knows_the_presets_of_weights_and_biases(
    start: Start, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    curve = Table(columns=["class", "y", "x"], data=[["cat", 0.5, 1.0]])
    named = Table(columns=["step", "lineKey", "lineVal"], data=[[0, "a", 1]])
    titles = {"title": "P", "x-axis-title": "Confidence", "y-axis-title": "P"}
    run = start()
    run.log(
        {
            "area": plot.plot_table(
                "wandb/area-under-curve/v0", curve, {"x": "x", "y": "y", "class": "class"}, titles
            ),
            "series": plot.visualize("wandb/lineseries/v0", named),
            "direct": plot.CustomChart(
                "wandb/scatter/v0", curve, {"x": "y", "y": "x"}, {"title": "D"}
            ),
        }
    )
    run.finish()
    assert lines_of(capsys.readouterr().err) == []
    values = logged(daemon)
    assert values["area"]["chart"] == {
        "kind": "curve",
        "x": 2,
        "y": 1,
        "series": 0,
        "x_title": "Confidence",
        "y_title": "P",
    }
    assert values["series"]["chart"] == {"kind": "line", "x": 0, "y": 2, "series": 1}
    assert values["direct"]["chart"] == {"kind": "scatter", "x": 1, "y": 2}
    assert values["direct"]["caption"] == "D"


def test_a_chart_that_cannot_be_drawn_keeps_its_table_and_says_why(
    start: Start, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(columns=["a", 7], data=[[1, 2]])
    run = start()
    for _ in range(2):
        run.log(
            {
                "absent": plot.bar(table, "a", "b", title="Bars"),
                "empty": plot.plot_table("wandb/line/v0", Table(columns=[]), {"x": None}),
                "own": plot.plot_table("me/chart", table, {"x": "a"}, {"title": "Own"}),
                "odd": plot.plot_table(["me"], table, "x"),  # type: ignore[arg-type]
                "none": plot.line(None, "x", "y", title="t"),
                "array": plot.plot_table(
                    "wandb/bar/v0",
                    table,
                    {"label": "a", "value": ["a"]},
                    {"title": np.zeros(2), "x-axis-title": np.zeros(2)},
                ),
                "number": plot.scatter(table, "a", 7),  # type: ignore[arg-type]
                "loss": 1,
            }
        )
    run.finish()
    values = logged(daemon)
    kept = {"_type": "table-file", "nrows": 1, "ncols": 2, "columns": ["a", "7"]}
    for name, title in {"absent": "Bars", "own": "Own"}.items():
        assert values[name].pop("blob") in daemon.blobs
        assert values[name] == {**kept, "caption": title}
    assert "chart" not in values["odd"]
    assert values["number"]["chart"] == {"kind": "scatter", "x": 0, "y": 1}
    expected = (
        "plot.line(): expected a Table or a data frame, not a NoneType: pass stepwell.Table(…)"
    )
    assert values["none"] == {
        "_type": "custom-chart",
        "blob": None,
        "failed": expected,
        "caption": "t",
    }
    said = [line.removeprefix("stepwell: ") for line in lines_of(capsys.readouterr().err)]
    table_is_kept = "no chart is drawn, the table is recorded"
    assert said.pop().startswith("plot_table(): the table has no column \"['a']\", only 'a', '7'")
    assert values["array"]["caption"] == "[0. 0.]"
    assert said[:2] == [
        f"plot.bar(): the table has no column 'b', only 'a', '7'; {table_is_kept}",
        f"plot_table(): the table has no column 'x', and no other one; {table_is_kept}",
    ]
    assert said[2].startswith("plot_table() is not available yet")
    assert len(said) == 4
    assert said[3].startswith("'none': the CustomChart was not stored")
    assert said[3].endswith(f": {expected}")


def test_a_dataframe_is_a_table_and_other_values_are_named(
    start: Start, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
    run = start()
    run.log(
        {
            "line": plot.line(frame, "a", "b"),
            "bars": plot.plot_table("wandb/bar/v0", frame, {"label": "a", "value": "b"}),
            "seen": plot.visualize("wandb/histogram/v0", frame.rename(columns={"a": "value"})),
            "list": plot.scatter([[1, 2]], "a", "b"),
            "roc": plot.roc_curve([0, 1]),
        }
    )
    run.finish()
    values = logged(daemon)
    charts = {name: values[name]["chart"]["kind"] for name in ("line", "bars", "seen")}
    assert charts == {"line": "line", "bars": "bar", "seen": "histogram"}
    assert all(values[name]["blob"] in daemon.blobs for name in charts)
    why = "expected a Table or a data frame, not a list: pass stepwell.Table(…)"
    assert values["list"]["failed"] == f"plot.scatter(): {why}"
    assert values["roc"]["failed"].startswith("plot.roc_curve(): needs numpy, y_true, y_probas")
    said = lines_of(capsys.readouterr().err)
    assert [line.split(": ")[1] for line in said] == ["'list'", "'roc'"]
    assert said[0].endswith(f"plot.scatter(): {why}")


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
    unnamed = rows(plot.confusion_matrix(preds=[3, 7], y_true=[7, 7]))
    assert unnamed == [
        ["Class_1", "Class_1", 0],
        ["Class_1", "Class_2", 0],
        ["Class_2", "Class_1", 1],
        ["Class_2", "Class_2", 1],
    ]


@pytest.mark.parametrize("names", [None, ["dog", "cat", "cow"]])
def test_the_texts_of_a_confusion_matrix_are_its_classes(names: list[str] | None) -> None:
    found = rows(
        plot.confusion_matrix(preds=["cat", "dog"], y_true=["dog", "dog"], class_names=names)
    )
    assert [row for row in found if row[2]] == [
        *(
            [["dog", "dog", 1], ["dog", "cat", 1]]
            if names
            else [["dog", "cat", 1], ["dog", "dog", 1]]
        )
    ]
    assert len(found) == len(names or "12") ** 2


def test_classes_and_lines_of_equal_names_stay_apart() -> None:
    same = plot.confusion_matrix(y_true=[0, 1], preds=[0, 0], class_names=["same", "same"])
    assert rows(same) == [
        ["same", "same", 1],
        ["same", "same (2)", 0],
        ["same (2)", "same", 1],
        ["same (2)", "same (2)", 0],
    ]
    names: list[Any] = ["a", "a (2)", "a", 1, "1", "a"]
    lines = plot.line_series([0], [[each] for each in range(6)], keys=names)
    assert [row[1] for row in rows(lines)] == ["a", "a (2)", "a (3)", 1, "1 (2)", "a (4)"]
    one = plot.roc_curve(TRUTHS, SCORES, labels=["x"], classes_to_plot=[0])  # Not a label for each.
    assert {row[0] for row in rows(one)} == {"x"}
    objects = plot.roc_curve(np.array(["a", "b"], dtype=object), [[0.9, 0.1], [0.2, 0.8]])
    assert {row[0] for row in rows(objects)} == {"a", "b"}
    for curve in (plot.roc_curve, plot.pr_curve):
        found = rows(curve(TRUTHS, SCORES, labels=["x", "y", "x"]))
        assert list(dict.fromkeys(row[0] for row in found)) == ["x", "y", "x (2)"]


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


def test_points_of_a_roc_curve_that_are_equal_when_rounded_are_one() -> None:
    random = np.random.default_rng(0)
    found = rows(plot.roc_curve(random.integers(0, 2, 100_000), random.random((100_000, 2))))
    assert all(row != after for row, after in itertools.pairwise(found))
    assert len(found) <= 2 * 1000
    for number in (0, 1):
        curve = [row for row in found if row[0] == number]
        assert (curve[0][1:], curve[-1][1:]) == ([0.0, 0.0], [1.0, 1.0])


def test_a_long_curve_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepwell.plot._CURVE_POINTS_MAX", 10)
    truths = np.random.default_rng(0).integers(0, 2, 1000)
    scores = np.random.default_rng(1).random((1000, 2))
    found = rows(plot.roc_curve(truths, scores, classes_to_plot=[1]))
    assert len(found) == 10
    assert (found[0], found[-1]) == ([1, 0.0, 0.0], [1, 1.0, 1.0])


PERFECT = [[0.05, 0.9, 0.05], [0.05, 0.1, 0.85], [0.1, 0.8, 0.1], [0.02, 0.2, 0.78]]


def is_perfect(drawn: list[list[Any]], names: list[Any]) -> bool:
    """Whether the ROC curves of just ``names`` are there, each through the upper left corner."""
    ends = [name for name, falses, trues in drawn if (falses, trues) == (0.0, 1.0)]
    return ends == names == list(dict.fromkeys(name for name, *_ in drawn))


@pytest.mark.parametrize(
    ("classes", "labels", "names"),
    [
        ([1, 2, 1, 2], ["a", "b", "c"], ["b", "c"]),
        ([1, 2, 1, 2], None, [1, 2]),
        ([1.0, 2.0, 1.0, 2.0], ["a", "b", "c"], ["b", "c"]),
        (["b", "c", "b", "c"], ["a", "b", "c"], ["b", "c"]),
        ([1, 2, 1, 2], {1: "one"}, ["one", 2]),
    ],
)
def test_a_class_that_no_sample_has_moves_no_column(
    classes: list[Any], labels: Any, names: list[Any]
) -> None:
    assert is_perfect(rows(plot.roc_curve(classes, PERFECT, labels=labels)), names)
    drawn = rows(plot.pr_curve(classes, PERFECT, labels=labels))
    assert {precision for _, precision, _ in drawn} == {1.0}


def test_classes_without_a_column_or_a_label_are_told() -> None:
    for classes in (["b", "c", "b", "c"], [3, 4, 3, 4]):
        with pytest.warns(UserWarning, match="3 columns and y_true 2 classes, so the column of a"):
            assert plot.roc_curve(classes, PERFECT).table is None
    with pytest.warns(UserWarning, match="expected classes from 0 to 1, or as labels"):
        plot.roc_curve(["cat"] * 2, np.eye(2))
    with pytest.raises(ValueError, match=r"labels has 2 names, for the classes 0 to 1; .* class 2"):
        plot.roc_curve([0, 1, 2], np.eye(3), labels=["a", "b"])
    assert is_perfect(
        rows(plot.roc_curve([5, 8], np.eye(2), labels=["five", "eight"])), ["five", "eight"]
    )


@pytest.mark.parametrize("places", [slice(None), slice(None, None, -1)])
def test_scores_that_are_nan_are_left_out_in_every_order(places: slice) -> None:
    truths = [0, 0, 1, 1]
    scores = [[0.9, 0.1], [0.1, np.nan], [0.2, 0.8], [0.3, 0.7]]
    with pytest.warns(UserWarning, match="class 1: 1 of 4 samples are left out"):
        chart = plot.roc_curve(truths[places], scores[places], classes_to_plot=[1])
    assert is_perfect(rows(chart), [1])
    with pytest.warns(UserWarning, match="class 1: 4 of 4 samples are left out"):
        chart = plot.pr_curve(truths[places], np.full((4, 2), np.nan), classes_to_plot=[1])
    assert chart.table is None
    with pytest.warns(UserWarning, match="1 of 4 samples are left out: NaN in probs"):
        chart = plot.confusion_matrix(probs=scores[places], y_true=truths[places])
    assert [count for *_, count in rows(chart)] == [1, 0, 0, 2]


@pytest.mark.parametrize("gap", [None, float("nan"), "pandas"])
def test_samples_without_a_class_are_left_out(gap: Any) -> None:
    if gap == "pandas":
        gap = pytest.importorskip("pandas").NA
    truths, scores = [1, gap, 2, 1, 2], [PERFECT[0], [0.1, 0.2, 0.7], *PERFECT[1:]]
    said = "1 of 5 samples are left out: their class is None or NaN"
    with pytest.warns(UserWarning, match=said):
        assert is_perfect(rows(plot.roc_curve(truths, scores)), [1, 2])
    with pytest.warns(UserWarning, match=said):
        counts = rows(plot.confusion_matrix(y_true=truths, preds=[1, 1, 2, 1, 2]))
    assert [count for *_, count in counts] == [2, 0, 0, 2]


@pytest.mark.parametrize("scores", [[0.1, 0.9, 0.8], [[0.1], [0.9], [0.8]]])
def test_scores_of_one_class_are_made_to_two_columns(scores: Any) -> None:
    with pytest.raises(ValueError, match=r"make numpy.stack\(\[1 - s, s\], axis=1\)"):
        plot.roc_curve([0, 1, 1], scores)


def test_classes_may_be_columns_and_frames_of_one_column() -> None:
    pd = pytest.importorskip("pandas")
    truths, guesses = np.array([1] * 5 + [0] * 4), np.array([0] * 5 + [0] * 4)
    expected = rows(plot.confusion_matrix(y_true=truths, preds=guesses))
    assert sum(count for *_, count in expected) == 9
    index = list("abcdefghi")
    frames = [pd.DataFrame({"t": each}, index=index) for each in (truths, guesses)]
    for one, other in (
        frames,
        (truths.reshape(-1, 1), guesses.reshape(-1, 1)),
        (frames[0], guesses.tolist()),
    ):
        assert rows(plot.confusion_matrix(y_true=one, preds=other)) == expected
    scores = np.eye(2)[truths]
    assert rows(plot.roc_curve(frames[0], scores)) == rows(plot.roc_curve(truths, scores))
    with pytest.raises(ValueError, match=r"y_true has several values .* y_true.argmax\(axis=1\)"):
        plot.confusion_matrix(y_true=scores, preds=guesses)
    with pytest.raises(ValueError, match=r"preds has several values .* passed as probs"):
        plot.confusion_matrix(y_true=truths, preds=scores)
    with pytest.raises(ValueError, match="probs has not a row for each of 2 samples"):
        plot.confusion_matrix(y_true=[0, 1], probs=[0.9, 0.1])


def test_texts_are_classes_of_probs_if_the_columns_have_their_names() -> None:
    scores = [[0.9, 0.1], [0.2, 0.8]]
    made = plot.confusion_matrix(y_true=["dog", "cat"], probs=scores, class_names=["cat", "dog"])
    assert rows(made) == [
        ["cat", "cat", 0],
        ["cat", "dog", 1],
        ["dog", "cat", 1],
        ["dog", "dog", 0],
    ]
    with pytest.raises(ValueError, match="class_names must name the 2 columns of probs"):
        plot.confusion_matrix(y_true=["dog", "cat"], probs=scores)
    with pytest.raises(ValueError, match="of different kinds: 0, 1, 'cat', 'dog'"):
        plot.confusion_matrix(y_true=["dog", "cat"], preds=[0, 1])


def test_lines_of_a_dict_and_of_a_frame_have_its_names() -> None:
    pd = pytest.importorskip("pandas")
    expected = [[0, "a", 1], [1, "a", 2], [0, "b", 3], [1, "b", 4]]
    lines = {"a": [1, 2], "b": [3, 4]}
    for ys in (lines, pd.DataFrame(lines), pd.DataFrame(lines, index=["x", "y"])):
        assert rows(plot.line_series([0, 1], ys)) == expected
    x = pd.DataFrame({"x": [0, 1]})
    for line in ([1, 2], np.array([1, 2]), pd.Series([1, 2])):  # One line.
        assert rows(plot.line_series(x, line, keys=["a"])) == expected[:2]
    with pytest.warns(UserWarning, match="a has 2 xs and 3 ys; those without the other"):
        assert len(rows(plot.line_series([0, 1], [[1, 2, 3]], keys=["a"]))) == 2


def test_columns_of_texts_are_those_of_their_labels_or_of_a_frame() -> None:
    pd = pytest.importorskip("pandas")
    names = ["low", "medium", "high"]  # Not sorted.
    scores = np.array([[0.9, 0.06, 0.04], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.05, 0.1, 0.85]])
    truths = [names[place] for place in scores.argmax(axis=1)]
    drawn = rows(plot.roc_curve(truths, scores, labels=names))
    assert is_perfect(drawn, sorted(names))
    turned = pd.DataFrame(scores[:, ::-1], columns=names[::-1])
    assert rows(plot.roc_curve(truths, turned)) == drawn
    assert rows(plot.pr_curve(truths, turned)) == rows(plot.pr_curve(truths, scores, labels=names))
    counts = {
        (one, other): count
        for one, other, count in rows(plot.confusion_matrix(probs=turned, y_true=truths))
        if count
    }
    assert counts == {("low", "low"): 1, ("medium", "medium"): 2, ("high", "high"): 1}
    places = scores.argmax(axis=1)
    assert is_perfect(rows(plot.roc_curve(places, pd.DataFrame(scores))), [0, 1, 2])
    named = rows(plot.roc_curve(places, pd.DataFrame(scores), labels=names))
    assert is_perfect(named, names)


def test_a_series_is_the_table_of_a_chart() -> None:
    pd = pytest.importorskip("pandas")
    counts = pd.Series([2, 1], index=pd.Index(["a", "b"], name="k"), name="count")
    chart = plot.bar(counts, "k", "count")
    assert (columns(chart), rows(chart)) == (["k", "count"], [["a", 2], ["b", 1]])
    for made in (Table(counts), Table(data=counts)):
        assert (made.columns, made.data) == (["k", "count"], [["a", 2], ["b", 1]])
    plain = pd.Series([1.5, 2.5])
    assert (Table(plain).columns, Table(plain).data) == (["value"], [[1.5], [2.5]])
    assert Table(columns=["x"], data=plain).columns == ["x"]


@pytest.mark.parametrize(
    ("classes", "labels", "only", "names"),
    [
        ([1, 2, 3], ["a", "b", "c"], None, ["a", "b", "c"]),
        ([1, 2, 3], ["a", "b", "c"], [1], ["a"]),
        ([1, 2], [1, 2, 3], None, [1, 2]),
        ([1, 1], [0, 1], None, [1]),
        ([True, True], ["no", "yes"], None, ["yes"]),
        ([True, True], None, None, [True]),
    ],
)
def test_a_class_has_the_column_and_the_name_of_its_label(
    classes: list[Any], labels: Any, only: Any, names: list[Any]
) -> None:
    count = 3 if 2 in classes else 2
    places = [int(each) - 1 if 2 in classes else int(each) for each in classes]
    scores = np.eye(count)[places]
    found = rows(plot.roc_curve(classes, scores, labels=labels, classes_to_plot=only))
    assert list(dict.fromkeys(name for name, *_ in found)) == names
    if len(set(classes)) > 1:
        assert is_perfect(found, names)


def test_columns_of_arrow_and_scores_with_gaps_are_read() -> None:
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    table = pa.table({"y": ["cat", "dog"], "dog": [0.1, 0.9], "cat": [0.9, 0.1]})
    drawn = rows(plot.roc_curve(table["y"], table.select(["dog", "cat"])))
    assert is_perfect(drawn, ["cat", "dog"])
    assert rows(plot.confusion_matrix(y_true=table["y"], preds=["cat", "cat"]))[0][2] == 1
    gaps = pd.DataFrame({0: [0.9, None, 0.2], 1: [0.1, 0.8, 0.8]}, dtype="Float64")
    with pytest.warns(UserWarning, match="1 of 3 samples are left out: NaN in probs"):
        found = plot.confusion_matrix(y_true=[0, 1, 1], probs=gaps)
    assert [count for *_, count in rows(found)] == [1, 0, 0, 1]
    with pytest.warns(UserWarning, match="class 0: 1 of 3 samples are left out"):
        assert is_perfect(rows(plot.roc_curve([0, 1, 1], gaps)), [0, 1])


def test_batches_of_arrays_are_classes_and_nothing_is_an_empty_chart() -> None:
    batches = [np.array([0]), np.array([1])]
    assert [count for *_, count in rows(plot.confusion_matrix(y_true=batches, preds=[0, 1]))] == [
        *(1, 0, 0, 1)
    ]
    with pytest.raises(ValueError, match="several values for a sample"):
        plot.roc_curve([np.array([0, 1]), np.array([1, 0])], np.eye(2))
    assert rows(plot.line_series([], [[], []])) == []
    assert rows(plot.confusion_matrix(probs=np.zeros((0, 2)), y_true=[])) == []


def test_categories_of_pandas_are_the_columns_of_scores() -> None:
    pd = pytest.importorskip("pandas")
    names = ["low", "medium", "high"]
    truths = pd.Series(pd.Categorical(["low", "high"], categories=names))
    scores = [[0.0, 0.9, 0.7], [0.8, 0.1, 0.7]]  # Sorted, as of a classifier: high, low, medium.
    for each in (truths, truths.array):
        assert is_perfect(rows(plot.roc_curve(each, scores)), ["high", "low"])
    turned = [row[1:] + row[:1] for row in scores]  # The labels count before categories.
    assert is_perfect(rows(plot.roc_curve(truths, turned, labels=names)), ["high", "low"])
    probs = [[0.0, 0.9, 0.7], [0.8, 0.1, 0.7], [0.1, 0.1, 0.8]]
    with pytest.warns(UserWarning, match="1 of 3 samples are left out: their class is None"):
        made = plot.confusion_matrix(
            probs=probs, y_true=["low", "high", None], class_names=["high", "low", "medium"]
        )
    assert sum(count for one, other, count in rows(made) if one == other) == 2
    with pytest.raises(ValueError, match=r"class_names has no 'z'$"):
        plot.confusion_matrix(y_true=["a", "b"], preds=["a", "z"], class_names=["a", "b"])
