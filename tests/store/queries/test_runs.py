"""Runs: filtered, sorted, paged, with columns; on the engine and on a server of 18.16."""

import math
from typing import Any

import pytest

from stepwell_store import CursorError, FilterError, Store
from stepwell_store.queries import filter_hints, get_run, list_runs, list_writers, path_hints
from stepwell_store.queries.filter import Compare, format_filter
from stepwell_wire.rows import Event
from tests.store.made import START_US, event, fresh_project, log, tell, writer
from tests.store.queries.made import (
    at_us,
    configure,
    define,
    finish,
    make_run,
    run_event,
    start,
    summarise,
)


def ids(store: Store, project: str, filter: str = "", **more: Any) -> list[str]:
    found = list_runs(store, project, filter=filter, **{"sort": ("id",), **more})
    assert found.total in (None, len(found.items))
    return [run.run_id for run in found.items]


@pytest.fixture(scope="module")
def several(store: Store) -> str:
    """A project of runs that differ in everything."""
    project = fresh_project()
    make_run(
        store,
        project,
        "a",
        run_event(tags=["x", 'quo"te'], group="g1", job_type="train", notes="first one"),
        name="Big river",
        config={"lr": 0.1, "opt": {"name": "adam"}, "n": 3, "on": True, "mixed": 7},
        metrics={"val/loss": [3.0, 1.0, 2.0]},
    )
    make_run(
        store,
        project,
        "b",
        run_event(tags=["y"], group="g2", sweep="s1"),
        at=100,
        name="small lake",
        config={"lr": 1e-3, "opt": {"name": "sgd"}, "n": 2**60 + 1, "on": False, "mixed": "seven"},
        metrics={"val/loss": [0.5, math.nan]},
        state="failed",
    )
    make_run(
        store,
        project,
        "c",
        at=200,
        config={"lr": math.inf, "mixed": math.nan, "list": [1, 2]},
        metrics={"other": [1.0]},
        state="running",
    )
    make_run(store, project, "d", at=300, config={"lr": None, "text": "0.1"})
    return project


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("", "abcd"),
        ("river", "a"),
        ("RIVER", "a"),
        ("name-c", "c"),
        ("state:running", "c"),
        ("state:failed | state:running", "bc"),
        ("-state:finished", "bc"),
        ("tag:x", "a"),
        ("tags:y", "b"),
        (r'tag:"quo\"te"', "a"),
        ("tag:quo", ""),
        ("-tag:x", "bcd"),
        ("tags!=x", "bcd"),
        ("tag~^q", "a"),
        ("tag:none", "cd"),
        ("group:g1", "a"),
        ("sweep:s1", "b"),
        ("sweep:none", "acd"),
        ("group:none", "cd"),
        ('notes~"^first"', "a"),
        ('name~"(?i)^BIG"', "a"),
        ("id:b", "b"),
        ("host:node-a", "abcd"),
        ("host:node", ""),
        ("lr<0.05", "b"),
        ("lr<=0.1", "ab"),
        ("lr:0.1", "a"),
        ("lr=1e-3", "b"),
        ("lr>1", "c"),
        ("lr:inf", "c"),
        ("lr!=0.1", "bcd"),
        ("lr:none", "d"),
        ("config.lr:none", "d"),
        ("opt.name:adam", "a"),
        ("config.opt.name~s.d", "b"),
        ("n:3", "a"),
        (f"n:{2**60 + 1}", "b"),
        (f"n:{2**60}", ""),
        ("on:true", "a"),
        ("on:false", "b"),
        ("mixed:7", "a"),
        ("mixed:seven", "b"),
        ("mixed:nan", "c"),
        ("mixed>0", "a"),
        ("text:0.1", "d"),
        ('text:"0.1"', "d"),
        ('list:"[1,2]"', "c"),
        ("val/loss>1", "a"),
        ("val/loss:nan", "b"),
        ("summary.val/loss:2", "a"),
        ("metric.val/loss:min<0.6", "b"),
        ("metric.val/loss:max>=3", "a"),
        ("metric.val/loss:mean:2", "a"),
        ("metric.val/loss:first:0.5", "b"),
        ("metric.val/loss:count:3", "a"),
        ("metric.val/loss:none", "cd"),
        ("duration:10s", "abd"),
        ("duration<1m", "abd"),
        ("duration>115m", "c"),
        ("created:2023-11-14", "abcd"),
        ("created>2023-11-14", ""),
        ("created>=2023-11-14", "abcd"),
        ("created<2023-11-14", ""),
        ("created<=2023-11-14", "abcd"),
        ("created>2h", "bcd"),
        ("created<2h", "a"),
        ("ended:none", "c"),
        ("nothing:3", ""),
        ("(tag:x | tag:y) lr<0.05", "b"),
        ("_step:2", "a"),
        ("_runtime<1", "abc"),
    ],
)
def test_a_filter_finds(store: Store, several: str, filter: str, expected: str):
    now = START_US / 1e6 + 7200 + 50
    assert "".join(ids(store, several, filter, now=now)) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (("-created",), "dcba"),
        (("created",), "abcd"),
        (("name",), "acdb"),
        (("-name",), "bdca"),
        (("state", "-id"), "bdac"),
        (("lr",), "bacd"),
        (("-lr",), "cabd"),
        (("mixed",), "acbd"),
        (("-mixed",), "acbd"),
        (("val/loss", "-id"), "abdc"),
        (("metric.val/loss:min",), "bacd"),
        (("tags",), "abcd"),
        (("-duration", "id"), "cabd"),
        (("seen",), "abcd"),
    ],
)
def test_runs_come_in_order_numbers_before_texts_and_nothing_last(
    store: Store, several: str, sort: tuple[str, ...], expected: str
):
    assert "".join(ids(store, several, sort=sort)) == expected


@pytest.mark.parametrize(
    "sort", [("lr",), ("-lr",), ("mixed", "-created"), ("-val/loss",), ("name",), ()]
)
def test_pages_join_to_the_whole_list(store: Store, several: str, sort: tuple[str, ...]):
    whole = [run.run_id for run in list_runs(store, several, sort=sort).items]
    assert sorted(whole) == list("abcd")
    paged: list[str] = []
    cursor = None
    while True:
        page = list_runs(store, several, sort=sort, limit=1, cursor=cursor)
        paged += [run.run_id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole


@pytest.mark.parametrize("sort", ["name", "-name", "state", "tags", "group", "host"])
def test_a_later_page_can_be_read_many_times(store: Store, sort: str) -> None:
    """ClickHouse compiles an expression at its third use, and then a constant was none."""
    project = fresh_project()
    for number in range(12):
        make_run(store, project, f"r{number}", run_event(tags=["x"]), name=f"n{number:02d}")
    first = list_runs(store, project, sort=(sort,), limit=5)
    pages = [
        list_runs(store, project, sort=(sort,), limit=5, cursor=first.next_cursor) for _ in range(6)
    ]
    assert [len(page.items) for page in pages] == [5] * 6


def test_a_running_run_takes_until_now_and_the_pages_of_a_list_have_one_now(
    store: Store, several: str
) -> None:
    """`c` runs since 200 s after the start of `a`; the others took 10 s."""
    start = START_US / 1e6 + 200

    def page_at(seconds: float, cursor: str | None = None) -> Any:
        return list_runs(
            store,
            several,
            sort=("duration", "id"),
            columns=("duration",),
            limit=2,
            now=start + seconds,
            cursor=cursor,
        )

    first = page_at(7)
    assert [run.run_id for run in first.items] == ["c", "a"]
    assert first.items[0].columns["duration"] == pytest.approx(7)
    second = page_at(12, first.next_cursor)
    assert [run.run_id for run in second.items] == ["b", "d"]
    whole = page_at(5000)
    assert [run.run_id for run in whole.items] == ["a", "b"]
    last = page_at(5100, whole.next_cursor).items[-1]
    assert (last.run_id, last.columns["duration"]) == ("c", pytest.approx(5100))


def test_a_page_says_how_many_there_are_where_the_engine_counts_them(store: Store, several: str):
    page = list_runs(store, several, filter="lr<1", limit=1)
    assert page.total == (2 if store.has_windows else None)
    assert page.next_cursor is not None
    assert list_runs(store, several, filter="lr>5000", limit=1).next_cursor is None


def test_a_cursor_of_another_question_is_refused(store: Store, several: str):
    cursor = list_runs(store, several, limit=1).next_cursor
    assert cursor is not None
    with pytest.raises(CursorError, match="another filter"):
        list_runs(store, several, filter="lr<1", cursor=cursor)
    with pytest.raises(CursorError):
        list_runs(store, several, sort=("id",), cursor=cursor)
    for wrong in ("", "x", "????", "e30", cursor[:-4], "ß"):
        with pytest.raises(CursorError):
            list_runs(store, several, cursor=wrong)


@pytest.mark.parametrize("beside", [(), ("config.opt.lr",), ("config.opt.lr", "config.opt.name")])
def test_the_column_of_a_dict_does_not_depend_on_the_others(
    store: Store, beside: tuple[str, ...]
) -> None:
    project = fresh_project()
    make_run(store, project, "dict", config={"opt": {"lr": 2, "name": "sgd"}})
    make_run(store, project, "text", config={"opt": "sgd"})
    make_run(store, project, "none", config={"opt": {}})
    found = list_runs(store, project, columns=("config.opt", *beside)).items
    values = {run.run_id: run.columns.get("config.opt", "missing") for run in found}
    assert values == {"dict": "missing", "text": "sgd", "none": {}}
    by_id = {run.run_id: run.columns for run in found}
    assert {path: by_id["dict"][path] for path in beside} == dict(
        zip(beside, (2, "sgd"), strict=False)
    )


def test_columns_come_with_the_runs(store: Store, several: str):
    columns = (
        "lr",
        "config.opt.name",
        "n",
        "on",
        "val/loss",
        "summary._step",
        "metric.val/loss:min",
        "metric.val/loss:count",
        "state",
        "tags",
        "created",
        "mixed",
        "list",
    )
    a, b, c, d = list_runs(store, several, sort=("id",), columns=columns).items
    assert a.columns == {
        "lr": 0.1,
        "config.opt.name": "adam",
        "n": 3,
        "on": True,
        "val/loss": 2.0,
        "summary._step": 2,
        "metric.val/loss:min": 1.0,
        "metric.val/loss:count": 3,
        "state": "finished",
        "tags": ["x", 'quo"te'],
        "created": START_US / 1e6,
        "mixed": 7,
    }
    assert b.columns["n"] == 2**60 + 1
    assert math.isnan(b.columns["val/loss"])
    assert c.columns["lr"] == math.inf
    assert c.columns["list"] == [1, 2]
    assert d.columns["lr"] is None
    assert "val/loss" not in d.columns


def test_a_run_has_what_its_events_said(store: Store, several: str):
    a, _, c, _ = list_runs(store, several, sort=("id",)).items
    assert (a.name, a.state, a.exit_code, a.writers, a.hosts) == (
        "Big river",
        "finished",
        0,
        1,
        ("node-a",),
    )
    assert (a.tags, a.group, a.job_type, a.notes) == (("x", 'quo"te'), "g1", "train", "first one")
    assert (a.started_at, a.ended_at, a.last_seen) == (
        at_us(0) / 1e6,
        at_us(10) / 1e6,
        at_us(10) / 1e6,
    )
    assert (c.state, c.ended_at) == ("running", None)


def test_archived_runs_are_left_out_unless_asked_for(store: Store):
    project = fresh_project()
    make_run(store, project, "a")
    make_run(store, project, "b", run_event(archived=True))
    assert ids(store, project) == ["a"]
    assert ids(store, project, archived=True) == ["a", "b"]
    assert ids(store, project, "archived:true", archived=True) == ["b"]


def test_a_filter_that_names_archived_searches_archived_runs_too(store: Store):
    project = fresh_project()
    make_run(store, project, "a")
    make_run(store, project, "b", run_event(archived=True), config={"archived": 1})
    assert ids(store, project, "archived:true") == ["b"]
    assert ids(store, project, "archived:false") == ["a"]
    assert ids(store, project, "id:b | -archived:true") == ["a", "b"]
    assert ids(store, project, "config.archived:1") == []


def test_runs_of_every_project_can_be_listed(store: Store):
    one, other = fresh_project(), fresh_project()
    make_run(store, one, "same", config={"only": one})
    make_run(store, other, "same", config={"only": other}, metrics={"loss": [1.0]})
    found = list_runs(
        store, None, filter=f"only:{one} | only:{other}", sort=("only",), columns=("only", "loss")
    )
    pairs = [(run.project, run.columns) for run in found.items]
    assert pairs == sorted(
        [(one, {"only": one}), (other, {"only": other, "loss": 1.0})], key=lambda each: each[0]
    )


@pytest.mark.parametrize(
    "filter",
    ["created:yesterday", "duration<fast", "tags<3", "state<", 'name~"("', "lr<nan", "created~x"],
)
def test_a_filter_that_cannot_be_is_refused_with_its_place(store: Store, several: str, filter: str):
    with pytest.raises(FilterError) as raised:
        list_runs(store, several, filter=f"x  {filter}")
    assert raised.value.position == 3


def test_an_expression_that_only_re2_refuses_is_refused(store: Store, several: str):
    with pytest.raises(FilterError, match="RE2"):
        list_runs(store, several, filter='name~"(?=a)"')


@pytest.mark.parametrize("operator", [":", "!=", "="])
def test_states_are_filtered_in_the_words_of_the_page_too(
    store: Store, several: str, operator: str
):
    for word, state in (("live", "running"), ("done", "finished"), ("Crash", "crashed")):
        found = list_runs(store, several, filter=f"state{operator}{word}").items
        assert found == list_runs(store, several, filter=f"state{operator}{state}").items
    for word in ("runing", "stale"):
        with pytest.raises(FilterError, match=r"running, finished|state:running seen<1m"):
            list_runs(store, several, filter=f"state{operator}{word}")


@pytest.mark.parametrize("expression", [r"^\pL+\z", "(?i)^GRÖ", "(?P<x>ö)"])
def test_an_expression_that_only_re2_knows_is_taken(store: Store, expression: str):
    project = fresh_project()
    make_run(store, project, "a", name="größe")
    make_run(store, project, "b", name="123")
    filter = format_filter(Compare("name", "~", expression, quoted=True))
    assert ids(store, project, filter) == ["a"]


@pytest.mark.parametrize("broken", ["(?:a)(?:b))", "a)(?:b", "(?i)*a"])
def test_a_broken_expression_stays_broken_and_its_place_is_named(store: Store, broken: str):
    project = fresh_project()
    make_run(store, project, "ab", name="ab")
    with pytest.raises(FilterError, match="RE2") as raised:
        list_runs(store, project, filter=f'name~a name~"{broken}"')
    assert raised.value.position == len("name~a ")


@pytest.mark.parametrize("odd", ["", ".", "q.", "nope"])
def test_a_metric_with_an_odd_name_makes_no_other_name_exist(store: Store, odd: str):
    project = fresh_project()
    make_run(store, project, "a", config={"": 1, ".": 2, "q.": 3}, metrics={odd: [1.0]})
    wrong = "nope.more" if odd == "nope" else "nope"
    for name in (wrong, f"summary.{wrong}"):
        (hint,) = path_hints(store, project, [name])
        assert hint.startswith(f"no run has {name!r}")
        (hint,) = filter_hints(store, project, f"{name}:3")
        assert hint.startswith(f"no run has {name!r}")
    known = [f"metric.{odd}", f"summary.{odd}", f"{odd}.max", f"summary.{odd}.max"]
    known += [odd, "config.", f"metric.{odd}:max"]
    assert path_hints(store, project, known) == ()
    automatic = ["_step", "_runtime", "_timestamp", "summary._runtime"]
    assert path_hints(store, project, automatic) == ()
    assert path_hints(store, project, ["_runtme"]) == (
        "no run has '_runtme'; did you mean _runtime?",
    )
    assert len(path_hints(store, project, ["config._runtime"])) == 1


def test_the_empty_name_is_a_column_a_filter_and_a_sort(store: Store):
    project = fresh_project()
    make_run(store, project, "a", config={"": "x"}, metrics={"": [1.0, 2.0]})
    make_run(store, project, "b", metrics={"": [5.0, 4.0]})
    make_run(store, project, "c", metrics={"loss": [3.0]})
    columns = ["summary.", "config.", "metric.", "metric.:max"]
    found = {
        run.ref.run_id: run.columns
        for run in list_runs(store, project, sort=["-summary."], columns=columns).items
    }
    assert list(found) == ["b", "a", "c"]
    assert found["a"] == {"summary.": 2.0, "config.": "x", "metric.": 2.0, "metric.:max": 2.0}
    assert found["b"] == {"summary.": 4.0, "metric.": 4.0, "metric.:max": 5.0}
    assert not found["c"]
    assert ids(store, project, "metric.:max>3") == ["b"]
    assert ids(store, project, "summary.<3") == ["a"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("lr:9 and state:done", "'and'"),
        ("lr:9 OR -not lr:8", "'OR'"),
        ("lr:9 && lr:8", "'&&'"),
        ("lr:9, lr:8", "'9,'"),
        ("lr:9 , lr:8", "','"),
    ],
)
def test_operators_of_other_languages_are_hinted_at(store: Store, text: str, word: str):
    project = fresh_project()
    make_run(store, project, "a", config={"lr": 0.1})
    assert filter_hints(store, project, text) == (
        f"{word} is taken as text; a space between conditions means AND, | means OR, - before a "
        "condition means NOT",
    )
    assert filter_hints(store, project, 'lr:"9," sand') == ()


def test_names_that_no_run_has_are_hinted_at_with_the_nearest(store: Store):
    project = fresh_project()
    values = {"val/loss": [1.0]}
    make_run(store, project, "a", config={"lr": 0.1, "opt": {"beta": 1}}, metrics=values)
    known = "lr:9 config.lr:9 opt.beta:9 val/loss<0 metric.val/loss:max<0 summary.val/loss<0"
    assert filter_hints(store, project, f"{known} state:done") == ()
    (hint,) = filter_hints(store, project, "name:'try 1'")
    assert "single quotes are characters of the value" in hint
    (hint,) = filter_hints(store, project, "lrr:9 state:done")
    assert hint.startswith("no run has 'lrr'; did you mean lr")
    assert path_hints(store, project, ["started_at", "hosts"]) == (
        "no run has 'started_at'; did you mean created?",
        "no run has 'hosts'; did you mean host?",
    )
    for name, meant in (
        ("config.lrr", "; did you mean config.lr?"),
        ("summary.val/los", "; did you mean summary.val/loss?"),
        ("config.val/los", "; did you mean metric.val/loss?"),
        ("config.batch", ""),  # Not config.lr: only the names count.
    ):
        assert path_hints(store, project, [name]) == (f"no run has {name!r}{meant}",)
    (hint,) = filter_hints(store, project, "opt>3 -missing:none")
    assert "opt.beta" in hint
    for name in ("val/loss", "summary.val/loss"):
        assert path_hints(store, project, [f"{name}:max"]) == (
            f"no run has '{name}:max'; did you mean metric.val/loss:max?",
        )
    assert path_hints(store, project, ["metric.val/loss:max"]) == ()
    for text in ("metric.val/loss:median>1", "metric.val/loss:median"):
        (hint,) = filter_hints(store, project, text)
        assert hint.startswith("a metric has no 'median'; its statistics are last, min, max")
    (hint,) = filter_hints(store, project, "config.lr:median>1")
    assert hint == "config.lr is compared with the text 'median>1'"
    assert filter_hints(store, project, 'metric.val/loss:nan metric.val/loss:2 lr:"a>1"') == ()
    assert filter_hints(store, project, "zzzzzz:9") == ("no run has 'zzzzzz'",)
    assert filter_hints(store, None, "lr:9") == ()


def test_copy_of_former_clients_is_the_plain_last_value(store: Store):
    project = fresh_project()
    values = {"loss": [3.0, 1.0, 2.0]}
    for operations, summary in (
        (["copy"], 2.0),
        (["copy", "last"], 2.0),
        (["copy", "min"], {"min": 1.0}),
        (["none", "copy"], None),
    ):
        run_id = "-".join(operations)
        make_run(store, project, run_id, define("loss", *operations), metrics=values)
        assert get_run(store, project, run_id).summary.get("loss") == summary


def test_a_value_by_hand_holds_until_the_next_log(store: Store):
    project = fresh_project()
    make_run(store, project, "before", summarise({"loss": 5.0}, at=-1), metrics={"loss": [0.5]})
    make_run(store, project, "after", summarise({"loss": 5.0}, at=1), metrics={"loss": [0.5]})
    make_run(store, project, "gone", summarise({}, at=1, delete=("loss",)), metrics={"loss": [0.5]})
    make_run(store, project, "back", summarise({}, at=-1, delete=("loss",)), metrics={"loss": [1]})
    assert ids(store, project, "loss:0.5") == ["before"]
    assert ids(store, project, "loss:5") == ["after"]
    assert ids(store, project, "loss:none") == ["gone"]
    assert ids(store, project, "loss:1") == ["back"]
    for run in list_runs(store, project, columns=("loss",)).items:
        expected = get_run(store, project, run.run_id).summary
        assert run.columns.get("loss") == expected.get("loss")


def test_a_defined_summary_is_compared_by_its_operations(store: Store):
    project = fresh_project()
    loss = {"val/loss": [3.0, 1.0, 2.0]}
    make_run(store, project, "plain", metrics=loss)
    make_run(store, project, "min", define("val/loss", "min", "max"), metrics=loss)
    make_run(store, project, "glob", define("val/*", "max"), define("v*", "min"), metrics=loss)
    make_run(store, project, "best", define("val/*", "best", goal="maximize"), metrics=loss)
    make_run(store, project, "none", define("*", "none"), metrics=loss)
    assert ids(store, project, "val/loss:2") == ["plain"]
    assert ids(store, project, "val/loss:1") == ["min"]
    assert ids(store, project, "val/loss:3") == ["best", "glob"]
    assert ids(store, project, "val/loss:none") == ["none"]
    assert ids(store, project, "val/loss.max:3") == ["glob", "min"]
    assert ids(store, project, "summary.val/loss.best:3") == ["best"]
    by_id = {
        run.run_id: run.columns for run in list_runs(store, project, columns=("val/loss",)).items
    }
    assert by_id["min"] == {"val/loss": {"min": 1.0, "max": 3.0}}
    assert by_id["none"] == {}


def test_a_path_that_was_cleared_leaves_nothing_below_it(store: Store):
    project = fresh_project()
    make_run(
        store, project, "a", configure({"opt": {"lr": 1}}), configure({}, at=1, delete=("opt",))
    )
    make_run(
        store,
        project,
        "b",
        configure({"opt": {"lr": 1}}),
        configure({"opt": {"lr": 2}}, at=1, delete=("opt",)),
    )
    make_run(store, project, "c", configure({"opt": 1, "opt.lr": 2}))
    assert ids(store, project, "opt.lr>0") == ["b", "c"]
    assert ids(store, project, "opt:1") == ["c"]
    assert get_run(store, project, "a").config == {}
    assert get_run(store, project, "c").config == {"opt": 1, "opt.lr": 2}


def test_a_resumed_run_is_judged_by_what_came_since(store: Store):
    project = fresh_project()
    tell(store, writer(project, "r", label="0"), start(at=0), finish("crashed", at=5, exit_code=-1))
    tell(store, writer(project, "r", label="1"), start(at=10, resumed=True), finish(at=20))
    (run,) = list_runs(store, project).items
    assert (run.state, run.exit_code, run.ended_at) == ("finished", 0, at_us(20) / 1e6)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("finished", "running"), "running"),
        (("finished", "failed", "killed"), "failed"),
        (("killed", "crashed"), "crashed"),
        (("finished", "killed"), "killed"),
    ],
)
def test_the_worst_of_several_writers_counts(store: Store, states: tuple[str, ...], expected: str):
    project = fresh_project()
    for rank, state in enumerate(states):
        told = [start(rank=rank)]
        if state != "running":
            told.append(finish(state, exit_code=3 if state == "failed" else 0))
        tell(store, writer(project, "r", label=str(rank)), *told)
    (run,) = list_runs(store, project).items
    code = {"failed": 3, "running": None}.get(expected, 0)
    assert (run.state, run.exit_code) == (expected, code)


def test_a_run_was_last_seen_at_its_last_point(store: Store):
    project = fresh_project()
    tell(store, writer(project), start())
    log(store, writer(project), [50_000], loss=[1.0])
    (run,) = list_runs(store, project).items
    assert run.last_seen == at_us(50) / 1e6
    lines = {"stream": "stdout", "lines": [[0, at_us(70), "evaluating"]]}
    tell(store, writer(project, "run"), event("console", lines))
    (run,) = list_runs(store, project).items
    assert run.last_seen == get_run(store, project, "run").last_seen == at_us(70) / 1e6


def test_a_writer_was_last_seen_at_its_own_last_point_or_line(store: Store):
    project = fresh_project()
    ranks = [writer(project, label=f"rank{rank}") for rank in range(3)]
    for rank, who in enumerate(ranks):
        tell(store, who, start(rank=rank))
        log(store, who, [10_000 * (rank + 1)], loss=[0.5])
    lines = {"stream": "stdout", "lines": [[0, at_us(90), "evaluating"]]}
    tell(store, ranks[0], event("console", lines))
    tell(store, ranks[2], finish())
    found = {each.label: each.last_seen for each in list_writers(store, project, "run")}
    expected = {"rank0": at_us(90), "rank1": at_us(20), "rank2": at_us(10)}
    assert found == {label: moment / 1e6 for label, moment in expected.items()}


def test_what_is_no_number_hides_no_operation(store: Store):
    project = fresh_project()
    loss = {"loss": [3.0, 1.0]}

    def said(value: object, at: float) -> Event:
        body = {"values": {"loss": value}}
        return event("values", body, step=9, time_us=at_us(at))

    make_run(store, project, "none", said(None, 1), metrics=loss)
    make_run(store, project, "only-none", said(None, 1))
    make_run(store, project, "text", said("n/a", 1), said(None, 2), metrics=loss)
    set_before = summarise({"loss": 7}, at=0.5)
    make_run(store, project, "set", set_before, said(None, 1), metrics=loss)
    make_run(store, project, "max-none", define("loss", "max"), said(None, 1), metrics=loss)
    make_run(store, project, "max-text", define("loss", "max"), said("n/a", 1), metrics=loss)
    make_run(
        store, project, "max-set", define("loss", "max"), set_before, said("n/a", 1), metrics=loss
    )
    make_run(store, project, "last-text", define("loss", "last"), said("n/a", 1), metrics=loss)
    make_run(store, project, "hidden", define("loss", "none"), said("n/a", 1))
    expected = {
        "none": 1.0,
        "only-none": None,
        "text": "n/a",
        "set": 7,
        "max-none": {"max": 3.0},
        "max-text": {"max": 3.0},
        "max-set": {"max": 3.0},
        "last-text": "n/a",
        "hidden": None,
    }
    runs = list(expected)
    assert {each: get_run(store, project, each).summary.get("loss") for each in runs} == expected
    for columns in (("loss",), ("loss", "loss.max"), ("loss.max", "loss")):
        listed = {
            run.run_id: run.columns for run in list_runs(store, project, columns=columns).items
        }
        assert {each: listed[each].get("loss") for each in runs} == expected
        if "loss.max" in columns:
            shown = {each for each in runs if listed[each].get("loss.max") == 3.0}
            assert shown == {"max-none", "max-text", "max-set"}
    assert ids(store, project, "loss:3") == ["max-none", "max-set", "max-text"]
    assert ids(store, project, "loss.max:3") == ["max-none", "max-set", "max-text"]
    assert ids(store, project, "loss:none") == ["hidden", "only-none"]
    assert ids(store, project, "loss:1") == ["none"]
    assert ids(store, project, 'loss:"n/a"') == ["last-text", "text"]


def test_a_deletion_hides_nothing_that_is_logged_below_it_later(store: Store):
    project = fresh_project()
    make_run(store, project, "before", summarise({}, at=1, delete=("m",)), metrics={"m.x": [2.0]})
    make_run(store, project, "after", summarise({}, at=-1, delete=("m",)), metrics={"m.x": [2.0]})
    assert "m.x" not in get_run(store, project, "before").summary
    assert get_run(store, project, "after").summary["m.x"] == 2.0
    assert ids(store, project, "m.x:2") == ["after"]
    (after, before) = list_runs(store, project, columns=("m.x",), sort=("id",)).items
    assert (after.columns, before.columns) == ({"m.x": 2.0}, {})


def test_rows_without_a_number_count_for_the_last_step_and_time(store: Store) -> None:
    project = fresh_project()
    text = event("values", {"values": {"t": "text"}}, step=7, time_us=at_us(3))
    nothing = event("values", {"values": {"t": None}}, step=4, time_us=at_us(5))
    bins = {"counts": [1], "low": 0.0, "high": 1.0}
    histogram = event("histograms", {"values": {"w": bins}}, step=9, time_us=at_us(4))
    make_run(store, project, "texts", text, nothing)
    make_run(store, project, "both", histogram, metrics={"loss": [1.0, 2.0]})
    make_run(store, project, "numbers", metrics={"loss": [1.0, 2.0]})
    make_run(store, project, "none")
    below = event("values", {"values": {"t": "text"}}, step=-3, time_us=at_us(1))
    make_run(store, project, "below", below)
    names = ("_step", "_runtime", "_timestamp")
    expected = {
        "texts": {"_step": 7, "_runtime": 5.0, "_timestamp": at_us(5) / 1e6},
        "both": {"_step": 9, "_runtime": 4.0, "_timestamp": at_us(4) / 1e6},
        "numbers": {"_step": 1, "_runtime": 0.001, "_timestamp": at_us(0.001) / 1e6},
        "none": {},
        "below": {"_step": -3, "_runtime": 1.0, "_timestamp": at_us(1) / 1e6},
    }
    listed = {run.run_id: run.columns for run in list_runs(store, project, columns=names).items}
    assert listed == expected
    for run_id, wanted in expected.items():
        summary = get_run(store, project, run_id).summary
        assert {name: summary[name] for name in names if name in summary} == wanted
    assert ids(store, project, "_step>=7") == ["both", "texts"]
    assert ids(store, project, "_runtime>4.5") == ["texts"]
    in_order = ["both", "texts", "numbers", "below", "none"]
    assert ids(store, project, sort=("-_step", "id")) == in_order
    assert ids(store, project, "_step<0") == ["below"]


def test_runs_are_found_by_the_metrics_that_they_logged(store: Store) -> None:
    project = fresh_project()
    text = event("values", {"values": {"a": "text"}}, step=1, time_us=at_us(1))
    bins = {"counts": [1], "low": 0.0, "high": 1.0}
    histogram = event("histograms", {"values": {"a": bins}}, step=1, time_us=at_us(1))
    make_run(store, project, "number", metrics={"a": [1.0]}, config={"lr": 1})
    make_run(store, project, "text", text, config={"lr": 2})
    make_run(store, project, "histogram", histogram, config={"lr": 3})
    make_run(store, project, "other", metrics={"b": [1.0]}, config={"lr": 4})
    make_run(store, project, "none", config={"lr": 5, "a": 1})
    make_run(store, fresh_project(), "elsewhere", metrics={"a": [1.0]})
    assert ids(store, project, logged=("a",)) == ["histogram", "number", "text"]
    assert ids(store, project, logged=("a", "b")) == ["histogram", "number", "other", "text"]
    assert ids(store, project, "lr>1", logged=("a",), sort=("-lr",)) == ["histogram", "text"]
    assert ids(store, project, logged=("nosuch",)) == []
    page = list_runs(store, project, logged=("a",), sort=("id",), limit=2)
    assert page.next_cursor is not None
    rest = list_runs(store, project, logged=("a",), sort=("id",), cursor=page.next_cursor)
    assert [run.run_id for run in rest.items] == ["text"]
    with pytest.raises(CursorError):
        list_runs(store, project, sort=("id",), cursor=page.next_cursor)
