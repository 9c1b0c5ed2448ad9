"""`stepwell runs --group-by`: runs that share values, with statistics of their columns."""

import json
import math
from typing import Any

import pytest

from stepwell.cli.errors import CommandError
from stepwell.cli.run_groups import Group, group_runs, groups_text, sorted_groups
from stepwell_store import EmbeddedStore
from tests.cli.conftest import Call, made
from tests.store.made import event, log, tell, writer


def run_of(**columns: Any) -> dict[str, Any]:
    return {"columns": columns}


RUNS = [
    run_of(lr=0.1, model="small", loss=1.0),
    run_of(lr=0.1, model="small", loss=3.0),
    run_of(lr=1.0, model="large", loss=math.nan),
    run_of(lr=1, model="large", loss="diverged"),
    run_of(model="large"),
]


def by_lr(*sort: str) -> list[Group]:
    return sorted_groups(group_runs(RUNS, ["lr"], ["loss"]), sort, ["lr"], ["loss"])


def test_runs_that_share_a_value_are_one_group_with_statistics_of_finite_numbers() -> None:
    assert by_lr() == [
        Group({"lr": 0.1}, 2, {"loss": {"count": 2, "mean": 2.0, "min": 1.0, "max": 3.0}}),
        Group({"lr": 1.0}, 2, {"loss": {"count": 1, "mean": None, "min": None, "max": None}}),
        Group({}, 1, {"loss": {"count": 0, "mean": None, "min": None, "max": None}}),
    ]


def test_several_paths_make_a_group_of_each_combination() -> None:
    groups = group_runs(RUNS, ["model", "lr"], [])
    assert [(each.values, each.runs) for each in groups] == [
        ({"model": "small", "lr": 0.1}, 2),
        ({"model": "large", "lr": 1.0}, 2),
        ({"model": "large"}, 1),
    ]


def test_true_and_one_are_two_groups_and_large_numbers_have_a_mean() -> None:
    assert len(group_runs([run_of(a=True), run_of(a=1), run_of(a="1")], ["a"], [])) == 3
    (group,) = group_runs([run_of(x=1.7e308), run_of(x=1.7e308)], [], ["x"])
    assert group.columns["x"]["mean"] == pytest.approx(1.7e308)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([True, "true", "false"], ['"true"', "false", "true"]),
        ([0.3, 0.1 + 0.2], ["0.3", "0.30000000000000004"]),
        ([1234567.1, 1234567.2, 5.5], ["1234567.1", "1234567.2", "5.5"]),
        (["1", 1, '"1"'], ['"1"', r'"\"1\""', "1"]),
        (["  ", "a"], ['"  "', "a"]),
        ([None, "", "-"], ['""', '"-"', "-"]),
        ([math.nan, "nan"], ['"nan"', "nan"]),
        ([[1, 2], "[1, 2]", [1.0, 2]], ['"[1, 2]"', "[1, 2]"]),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], ['{"a": 1, "b": 2}']),
        ([[math.nan], ["NaN"], ["NaN"]], ['["NaN"]', '["NaN"]']),
    ],
)
def test_only_equal_values_are_one_group_and_a_text_may_be_in_quotes(
    values: list[Any], names: list[str]
) -> None:
    groups = group_runs([run_of(v=value) for value in values], ["v"], [])
    lines = groups_text(groups, ["v"], []).splitlines()[1:]
    assert sorted(line.rsplit(maxsplit=1)[0] for line in lines) == names


def test_runs_with_null_and_without_the_value_are_one_group() -> None:
    (group,) = group_runs([run_of(v=None, x=1.0), run_of(x=3.0)], ["v"], ["x"])
    assert (group.values, group.runs, group.columns["x"]["mean"]) == ({}, 2, 2.0)


def test_groups_are_sorted_by_what_they_are_made_of() -> None:
    assert [each.runs for each in by_lr("runs", "lr")] == [1, 2, 2]
    assert [each.values.get("lr") for each in by_lr("-lr")] == [1.0, 0.1, None]
    for key in ("loss", "loss:max", "-loss:min"):
        assert by_lr(key)[0].values["lr"] == 0.1  # Groups without a number come last.
    with pytest.raises(CommandError, match="--sort acc: groups are sorted by runs, one of"):
        by_lr("acc")
    with pytest.raises(CommandError, match="loss:median"):
        by_lr("loss:median")


def test_a_sort_by_what_is_no_column_says_what_to_add() -> None:
    with pytest.raises(CommandError, match=r"; for acc, add --columns loss,acc$"):
        by_lr("-acc:min")
    with pytest.raises(CommandError) as told:
        by_lr("loss:median")
    assert "add --columns" not in str(told.value)


def test_moments_and_durations_are_read_as_such() -> None:
    paths, columns = ["created"], ["duration"]
    groups = group_runs([run_of(created=1.79573e9, duration=185.0)], paths, columns)
    (line,) = groups_text(groups, paths, columns).splitlines()[1:]
    assert line.split()[0].startswith("2026-11-")
    assert line.split()[2:] == ["1", "1", "3m05s", "3m05s", "3m05s"]


def test_the_table_names_each_statistic() -> None:
    lines = groups_text(by_lr(), ["lr"], ["loss"]).splitlines()
    assert lines[0].split() == ["lr", "runs", "loss:count", "loss:mean", "loss:min", "loss:max"]
    assert lines[1].split() == ["0.1", "2", "2", "2", "1", "3"]
    assert lines[3].split() == ["-", "1", "0", "-", "-", "-"]


def test_the_command_groups_all_runs_and_shows_as_many_groups_as_asked(call: Call) -> None:
    words = ("runs", "--group-by", "state", "--columns", "metric.train/loss:min,lr")
    found = json.loads(call(*words, "--json").out)
    (finished,) = [each for each in found if each["group"] == {"state": "finished"}]
    assert finished["runs"] >= 2
    assert finished["columns"]["metric.train/loss:min"]["min"] == 0.1
    # Other tests store runs too, some without lr.
    assert 2 <= finished["columns"]["lr"]["count"] <= finished["runs"]
    limited = call(*words, "--sort=-runs", "--limit", "1")
    assert len(limited.out.splitlines()) == 2
    assert "more group" in limited.err
    assert "--limit 0 shows all" in limited.err
    wrong = call(*words, "--cursor", "x")
    assert (wrong.code, wrong.out) == (2, "")


def test_a_metric_with_defined_operations_has_the_number_that_sorts_compare(
    call: Call, store: EmbeddedStore
) -> None:
    for number, best in enumerate((3.0, 5.0)):
        run_id = f"run-of-operations-{number}"
        made(store, "operations", run_id, name=run_id)
        operations = event("define_metric", {"name": "acc", "summary": ["max", "min"]})
        tell(store, writer("operations", run_id), operations)
        log(store, writer("operations", run_id), range(2), acc=[best, 1.0])
    expected = {"count": 2, "mean": 4.0, "min": 3.0, "max": 5.0}
    words = ("runs", "--project", "operations", "--columns", "acc,summary.acc,acc.max")
    (group,) = json.loads(call(*words, "--group-by", "state", "--json").out)
    assert group["columns"] == dict.fromkeys(("acc", "summary.acc", "acc.max"), expected)
    groups = json.loads(call(*words, "--group-by", "acc", "--sort=-acc", "--json").out)
    assert [each["group"] for each in groups] == [{"acc": 5.0}, {"acc": 3.0}]
    alone = json.loads(call(*words, "--sort=-acc", "--json").out)
    assert alone[0]["columns"]["acc"] == {"max": 5.0, "min": 1.0}


def test_a_path_to_group_by_that_no_run_has_is_an_error(call: Call) -> None:
    told = call("runs", "--project", "digits", "--group-by", "state,modle")
    assert (told.code, told.out) == (4, "")
    assert "--group-by: no run has 'modle'" in told.err
