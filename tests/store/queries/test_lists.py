"""Projects, metrics, attribute keys, writers, console, texts, gaps, nodes; and did they change."""

from typing import Any

import pytest

from stepwell_store import CursorError, FilterError, RunIsRunningError, RunNotFoundError, Store
from stepwell_store.queries import (
    console_lines,
    delete_project,
    delete_run,
    edit_run,
    get_run,
    list_attribute_keys,
    list_metrics,
    list_projects,
    list_runs,
    list_texts,
    list_writers,
    project_pulse,
    run_metrics,
    run_nodes,
    run_series,
    series_versions,
)
from tests.store.made import (
    START_US,
    build,
    decoded,
    event,
    fresh_project,
    insert,
    log,
    rows,
    tell,
    writer,
)
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

# ---------------------------------------------------------------------- projects


def test_projects_come_by_their_latest_activity(store: Store):
    prefix = fresh_project()
    for number in range(3):
        make_run(store, f"{prefix}-{number}", "a", at=100 * number, state="running")
        make_run(store, f"{prefix}-{number}", "b", at=100 * number + 1)
    page = list_projects(store, search=prefix.upper())
    assert [each.project for each in page.items] == [f"{prefix}-{n}" for n in (2, 1, 0)]
    first = page.items[0]
    assert (first.run_count, first.running_count) == (2, 1)
    assert (first.started_at, first.last_activity_at) == (at_us(200) / 1e6, at_us(211) / 1e6)


def test_projects_count_archived_runs_apart(store: Store) -> None:
    project = fresh_project()
    make_run(store, project, "listed")
    make_run(store, project, "running", state="running")
    make_run(store, project, "archived", run_event(archived=True), state="running")
    make_run(store, project, "back", run_event(archived=True), run_event(archived=False, at=1))
    make_run(store, f"{project}-other", "archived", run_event(archived=True))
    found = {each.project: each for each in list_projects(store, search=project).items}
    first, other = found[project], found[f"{project}-other"]
    assert (first.run_count, first.running_count, first.archived_count) == (3, 1, 1)
    assert list_runs(store, project).total in (3, None)
    assert (other.run_count, other.running_count, other.archived_count) == (0, 0, 1)


@pytest.mark.parametrize("sort", ["project", "-project", "-last_activity", "run_count"])
def test_pages_of_projects_join_to_the_whole_list(store: Store, sort: str):
    prefix = fresh_project()
    for number in range(4):
        make_run(store, f"{prefix}-{number}", "a", at=number % 2)
    whole = [each.project for each in list_projects(store, search=prefix, sort=sort).items]
    paged, cursor = [], None
    while True:
        page = list_projects(store, search=prefix, sort=sort, limit=1, cursor=cursor)
        paged += [each.project for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole
    assert len(whole) == 4


def test_projects_have_no_other_order(store: Store):
    with pytest.raises(FilterError, match="expected one of"):
        list_projects(store, sort="colour")


# ---------------------------------------------------------------------- metrics


def test_metric_names_are_searched_and_counted(store: Store):
    project = fresh_project()
    make_run(store, project, "a", metrics={"train/loss": [1, 2], "val/loss": [1], "acc": [1]})
    make_run(store, project, "b", metrics={"train/loss": [1, 2, 3]})
    found = list_metrics(store, project, search="loss$").items
    assert [(each.metric, each.run_count, each.point_count) for each in found] == [
        ("train/loss", 2, 5),
        ("val/loss", 1, 1),
    ]
    of_one = list_metrics(store, project, run_ids=["b"]).items
    assert [(each.metric, each.run_count, each.point_count) for each in of_one] == [
        ("train/loss", 1, 3)
    ]
    assert [each.metric for each in list_metrics(store, project, search="(?i)LOSS").items] == [
        "train/loss",
        "val/loss",
    ]
    assert list_metrics(store, project, run_ids=[]).items == ()


def test_metrics_say_over_which_metric_they_are_drawn(store: Store):
    project = fresh_project()
    logged = {"val/loss": [1], "val/acc": [1], "val/deep/x": [1], "epoch": [1], "t": [1]}
    make_run(
        store,
        project,
        "old",
        define("val/*", at=1, step_metric="epoch"),
        define("val/acc", "max", at=2),
        define("val/deep/*", at=3, step_metric="never logged"),
        define("t", at=4, step_metric="_runtime"),
        define("epo*", at=5, step_metric="epoch"),
        metrics=logged,
    )

    def steps(**asked: Any) -> dict[str, str | None]:
        return {
            each.metric: each.step_metric for each in list_metrics(store, project, **asked).items
        }

    said = {"val/acc": None, "val/deep/x": None, "t": "_runtime", "epoch": None}
    assert steps() == {**said, "val/loss": "epoch"}
    assert steps(search="^val/l") == {"val/loss": "epoch"}
    make_run(store, project, "new", define("val/*", at=9, step_metric="t"), metrics=logged)
    assert steps()["val/loss"] == "t"
    assert steps(run_ids=["old"])["val/loss"] == "epoch"
    assert steps(run_ids=["new"])["val/deep/x"] == "t"
    make_run(store, project, "none", metrics={"val/loss": [1]})
    assert steps(run_ids=["none"]) == {"val/loss": None}


def test_metric_names_come_in_pages(store: Store):
    project = fresh_project()
    make_run(store, project, "a", metrics={f"m{number}": [1] for number in range(5)})
    first = list_metrics(store, project, limit=3)
    second = list_metrics(store, project, limit=3, cursor=first.next_cursor)
    assert [each.metric for each in (*first.items, *second.items)] == ["m0", "m1", "m2", "m3", "m4"]
    assert second.next_cursor is None
    with pytest.raises(CursorError):
        list_metrics(store, project, search="x", cursor=first.next_cursor)


def test_a_search_that_is_no_expression_is_refused(store: Store):
    project = fresh_project()
    make_run(store, project, "a", configure({"a": 1}), metrics={"m": [1]})
    tell(store, writer(project, "a"), event("console", {"stream": "s", "lines": [[1, 1, "x"]]}))
    for ask in (list_metrics, list_attribute_keys):
        with pytest.raises(FilterError, match="RE2"):
            ask(store, project, search="(?=a)")
    with pytest.raises(FilterError, match="RE2"):
        console_lines(store, project, "a", search="(?=a)")


def test_ranks_of_a_metric_are_joined_and_apart(store: Store):
    project = fresh_project()
    log(store, writer(project, label="0"), [0, 1], loss=[1.0, 2.0])
    log(store, writer(project, label="1"), [0, 1], loss=[5.0, 6.0])
    (joined,) = run_metrics(store, project, "run")
    assert (joined.labels, joined.count, joined.mean, joined.last) == (("0", "1"), 4, 3.5, 6.0)
    apart = run_series(store, project, "run")
    assert [(each.labels, each.last) for each in apart] == [(("0",), 2.0), (("1",), 6.0)]


# ---------------------------------------------------------------------- attribute keys, writers


def test_attribute_keys_have_the_types_of_their_values(store: Store):
    project = fresh_project()
    make_run(store, project, "a", configure({"lr": 0.1, "opt": {"name": "adam"}}))
    make_run(store, project, "b", configure({"lr": "auto", "gone": 1}))
    tell(store, writer(project, "b"), configure({}, at=1, delete=("gone",)))
    found = list_attribute_keys(store, project).items
    assert [(each.path, each.types, each.run_count) for each in found if each.path != "gone"] == [
        ("lr", ("float", "text"), 2),
        ("opt.name", ("text",), 1),
    ]
    assert [each.path for each in list_attribute_keys(store, project, search="^o").items] == [
        "opt.name"
    ]
    page = list_attribute_keys(store, project, limit=1)
    following = list_attribute_keys(store, project, limit=1, cursor=page.next_cursor)
    assert page.items[0].path < following.items[0].path
    with pytest.raises(ValueError, match="expected one of"):
        list_attribute_keys(store, project, kind="colour")


def test_writers_are_listed_by_rank(store: Store):
    project = fresh_project()
    for rank in (1, 0):
        tell(store, writer(project, label=f"rank{rank}"), start(rank=rank))
    tell(store, writer(project, label="rank1"), finish("failed", exit_code=2))
    zero, one = list_writers(store, project, "run")
    assert (zero.label, zero.rank, zero.state, zero.pid) == ("rank0", 0, "running", 42)
    assert (one.label, one.state, one.exit_code, one.last_seen) == (
        "rank1",
        "failed",
        2,
        at_us(10) / 1e6,
    )
    assert list_writers(store, project, "nosuch") == ()


# ---------------------------------------------------------------------- console


@pytest.fixture(scope="module")
def console(store: Store) -> str:
    """A project with a run of 50 lines, a millisecond apart, every fifth on stderr."""
    project = fresh_project()
    for stream, wanted in (("stdout", False), ("stderr", True)):
        lines = [
            [number, START_US + number * 1000, f"line {number}"]
            for number in range(50)
            if (number % 5 == 0) == wanted
        ]
        tell(store, writer(project), event("console", {"stream": stream, "lines": lines}))
    return project


def texts(page) -> list[int]:
    return [int(line.text.removeprefix("line ")) for line in page.lines]


def test_the_console_is_read_backward_from_its_end(store: Store, console: str):
    page = console_lines(store, console, "run", limit=20)
    assert (texts(page), page.total) == (list(range(30, 50)), 50)
    earlier = console_lines(store, console, "run", before=page.before, limit=25)
    assert texts(earlier) == list(range(5, 30))
    first = console_lines(store, console, "run", before=earlier.before, limit=25)
    assert (texts(first), first.before) == (list(range(5)), None)


def test_the_console_is_followed_from_a_line(store: Store, console: str):
    first = console_lines(store, console, "run", around_time=START_US / 1e6, limit=10)
    assert texts(first) == list(range(10))
    after = console_lines(store, console, "run", after=first.after, limit=100)
    assert texts(after) == list(range(10, 50))
    nothing = console_lines(store, console, "run", after=after.after)
    assert (nothing.lines, nothing.after) == ((), after.after)


def test_the_console_is_read_around_a_time(store: Store, console: str):
    page = console_lines(store, console, "run", around_time=at_us(0.020) / 1e6, limit=10)
    assert texts(page) == list(range(15, 25))


def test_the_console_is_searched_by_text_stream_and_label(store: Store, console: str):
    found = console_lines(store, console, "run", search="line .5$")
    assert (texts(found), found.total) == ([15, 25, 35, 45], 4)
    assert texts(console_lines(store, console, "run", stream="stderr")) == list(range(0, 50, 5))
    assert console_lines(store, console, "run", label="other").lines == ()
    with pytest.raises(ValueError, match="one of"):
        console_lines(store, console, "run", after="x", around_time=1.0)
    with pytest.raises(CursorError):
        console_lines(store, console, "other", before=found.after)


# ---------------------------------------------------------------------- texts, nodes


def test_texts_come_in_pages(store: Store):
    project = fresh_project()
    for step in range(5):
        told = event("values", {"values": {"note": f"n{step}"}}, step=step, time_us=START_US + step)
        tell(store, writer(project), told)
    tell(store, writer(project), event("values", {"values": {"list": [1, None]}}, step=1))
    whole = list_texts(store, project, "run").items
    assert [(each.metric, each.step, each.value) for each in whole][:2] == [
        ("list", 1, [1, None]),
        ("note", 0, "n0"),
    ]
    paged, cursor = [], None
    while True:
        page = list_texts(store, project, "run", metric="note", limit=2, cursor=cursor)
        paged += [each.value for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == [f"n{step}" for step in range(5)]


def test_the_nodes_of_a_run_have_the_metrics_of_its_time(store: Store):
    project, host = fresh_project(), fresh_project()
    who = writer(project, host=host)
    tell(store, who, start(at=10), finish(at=20))
    for label, metrics in (("", ("cpu/use",)), ("gpu0", ("gpu/watts",))):
        node = writer("", "daemon", scope="node", host=host, label=label)
        times = [at_us(5), at_us(15), at_us(25)]
        made = rows(1, [0, 1, 2], [[1.0], [2.0], [3.0]], times=times)
        insert(store, build((node, decoded([made])), schemas={1: metrics}), f"{host}{label}")
    (found,) = run_nodes(store, project, "run")
    assert (found.host, [(each.label, each.kind) for each in found.devices]) == (
        host,
        [("gpu0", "gpu")],
    )
    assert [(each.metric, each.label, each.count, each.last) for each in found.metrics] == [
        ("cpu/use", "", 1, 2.0),
        ("gpu/watts", "gpu0", 1, 2.0),
    ]
    assert run_nodes(store, project, "nosuch") == ()


# ---------------------------------------------------------------------- versions


def test_a_series_version_is_its_points(store: Store):
    project = fresh_project()
    log(store, writer(project, "a", label="0"), [0, 1], loss=[1.0, 2.0])
    log(store, writer(project, "a", label="1"), [0], loss=[1.0])
    assert series_versions(store, project, ["a", "b"], ["loss", "acc"]) == {
        ("a", "loss"): 3,
        ("a", "acc"): 0,
        ("b", "loss"): 0,
        ("b", "acc"): 0,
    }
    assert series_versions(store, project, [], ["loss"]) == {}


def test_the_pulse_of_a_project_changes_with_its_runs(store: Store):
    project = fresh_project()
    seen = [project_pulse(store, project).runs_version]
    changes = [
        lambda: tell(store, writer(project, "a"), start()),
        lambda: tell(store, writer(project, "b"), start()),
        lambda: tell(store, writer(project, "a"), configure({"lr": 1}, at=1)),
        lambda: tell(store, writer(project, "a"), summarise({"best": 1}, at=2)),
        lambda: tell(store, writer(project, "a"), finish(at=3)),
        lambda: edit_run(store, project, "a", tags=["x"]),
    ]
    for change in changes:
        change()
        assert project_pulse(store, project).runs_version not in seen
        seen.append(project_pulse(store, project).runs_version)
    log(store, writer(project, "a"), [0], loss=[1.0])
    tell(store, writer(fresh_project(), "a"), start())
    assert project_pulse(store, project).runs_version == seen[-1]


def test_a_runs_version_changes_with_everything_about_it(store: Store):
    project = fresh_project()
    make_run(store, project, "a")
    seen = [get_run(store, project, "a").version]
    for change in (
        lambda: log(store, writer(project, "a"), [0], loss=[1.0]),
        lambda: edit_run(store, project, "a", notes="n"),
        lambda: tell(store, writer(project, "a"), configure({"a": 1}, at=5)),
        lambda: tell(store, writer(project, "a"), event("values", {"values": {"t": "x"}})),
        lambda: tell(store, writer(project, "a"), finish("failed", at=20)),
    ):
        change()
        assert get_run(store, project, "a").version not in seen
        seen.append(get_run(store, project, "a").version)


# ---------------------------------------------------------------------- changes


def test_an_edit_is_seen_everywhere_and_only_what_was_given_changes(store: Store):
    project = fresh_project()
    make_run(store, project, "a", run_event(tags=["old"], notes="n"), name="first")
    edit_run(store, project, "a", name="second", tags=["x", "y", "x"], color="#aabbcc")
    (run,) = list_runs(store, project, filter="tag:x name:second").items
    assert (run.tags, run.notes, run.color, run.archived) == (("x", "y"), "n", "#aabbcc", False)
    with pytest.raises(ValueError, match="color is 'red'; expected #rrggbb"):
        edit_run(store, project, "a", color="red")
    edit_run(store, project, "a", archived=True, notes="")
    assert list_runs(store, project).items == ()
    found = get_run(store, project, "a")
    assert (found.archived, found.notes, found.name) == (True, "", "second")
    edit_run(store, project, "a", archived=False, name="")
    (run,) = list_runs(store, project).items
    assert run.name == "a"


def test_a_late_event_undoes_no_later_edit_and_a_later_one_counts(store: Store):
    project = fresh_project()
    make_run(store, project, "a")
    edit_run(store, project, "a", tags=["edited"], clock=lambda: at_us(50) / 1e6)
    tell(store, writer(project, "a"), run_event(at=40, tags=["late"]))
    assert get_run(store, project, "a").tags == ("edited",)
    tell(store, writer(project, "a"), run_event(at=60, tags=["later"]))
    assert get_run(store, project, "a").tags == ("later",)


def test_an_editor_whose_clock_is_behind_is_heard(store: Store):
    project = fresh_project()
    make_run(store, project, "a", run_event(at=1000, notes="from a clock ahead"))
    edit_run(store, project, "a", notes="edited", clock=lambda: at_us(0) / 1e6)
    assert get_run(store, project, "a").notes == "edited"


@pytest.mark.parametrize(
    "fields",
    [{"name": "x" * 1000}, {"tags": "abc"}, {"tags": [""]}, {"notes": 3}, {"archived": 1}],
)
def test_an_edit_that_cannot_be_is_refused(store: Store, fields: dict):
    project = fresh_project()
    make_run(store, project, "a")
    with pytest.raises(ValueError, match=r"name|tag|notes|archived"):
        edit_run(store, project, "a", **fields)
    with pytest.raises(RunNotFoundError):
        edit_run(store, project, "nosuch", name="x")


def test_running_runs_are_deleted_by_force_only(store: Store):
    project = fresh_project()
    make_run(store, project, "a", state="running", metrics={"m": [1]})
    make_run(store, project, "b", metrics={"m": [1]})
    with pytest.raises(RunIsRunningError, match=f"{project}/a"):
        delete_run(store, project, "a")
    with pytest.raises(RunIsRunningError, match=f"{project}/a"):
        delete_project(store, project)
    assert len(list_runs(store, project).items) == 2
    delete_run(store, project, "b")
    delete_run(store, project, "a", force=True)
    assert list_runs(store, project).items == ()


def test_a_deleted_project_leaves_nothing_and_its_neighbour_everything(store: Store):
    gone, kept = fresh_project(), fresh_project()
    for project in (gone, kept):
        for run_id in ("a", "b"):
            make_run(store, project, run_id, configure({"lr": 1}), metrics={"m": [1, 2]})
    before = get_run(store, kept, "a")
    for _ in range(2):
        delete_project(store, gone)
        assert list_runs(store, gone, archived=True).items == ()
        assert list_metrics(store, gone).items == ()
        assert list_attribute_keys(store, gone).items == ()
    assert get_run(store, kept, "a") == before
    assert before.ended_at == at_us(10) / 1e6
