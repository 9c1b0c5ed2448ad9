"""Reports from code and from the command line: made once, saved again, exported whole."""

import json
from pathlib import Path

import pytest

import stepwell
from stepwell._reports import SavedReport
from stepwell.cli.__main__ import main
from stepwell.errors import UsageError
from stepwell_hub.reports.blocks import read_panel
from tests.api.conftest import World
from tests.api.made_artifacts import client
from tests.hub.made import make_run

TEXT = "# Result\n\n" + stepwell.panel("line", metrics=["loss"])


@pytest.fixture(autouse=True)
def hub(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_HUB", world.url)
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)


def text_of(world: World, saved: SavedReport) -> str:
    return str(client(world).ask("GET", "reports", saved.id)["text"])


def test_a_report_is_made_once_and_then_saved_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    first = stepwell.report("Rates", TEXT, project="a b")
    assert (first.version, first.problems) == (1, ())
    assert first.url == f"{world.url}/p/a%20b/reports/{first.id}"
    assert first.url in capsys.readouterr().err
    assert stepwell.report("Rates", TEXT, project="a b") == first
    second = stepwell.report("Rates", "new", project="a b")
    assert (second.id, second.version) == (first.id, 2)
    assert text_of(world, second) == "new"
    assert stepwell.report("Rates", TEXT, project="c").id != first.id


def test_what_was_changed_on_the_page_stays_among_the_versions(world: World) -> None:
    made = stepwell.report("Shared", "code", project="p")
    hub = client(world)
    hub.ask("PUT", "reports", made.id, body={"version": 1, "title": "Renamed", "text": "hers"})
    saved = stepwell.report("Shared", "code 2", project="p")
    assert (saved.id, saved.version, saved.title) == (made.id, 3, "Renamed")
    assert hub.ask("GET", "reports", made.id, "versions", "2")["text"] == "hers"


def test_a_wrong_panel_is_saved_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    saved = stepwell.report("Wrong", stepwell.panel("line", metrics="a", limits=3), project="p")
    assert len(saved.problems) == 1
    assert "line 4: a line panel has no field 'limits'" in capsys.readouterr().err


def test_a_title_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a title"):
        stepwell.report(" ", "text", project="p")


def test_a_panel_holds_what_it_was_given() -> None:
    text = stepwell.panel(
        "line", metrics=["a, b", 'c"d: {e}'], runs='name~"^x" # y', smooth=2.5, limit=3
    )
    content = text.removeprefix("```stepwell\n").removesuffix("```\n")
    fields = read_panel("stepwell", content, line=1).fields
    assert fields is not None
    assert fields["metrics"] == ["a, b", 'c"d: {e}']
    assert (fields["runs"], fields["smooth"], fields["limit"]) == ('name~"^x" # y', 2.5, 3)
    for value in (None, True, {"a": 1}, ["a", 1], object()):
        with pytest.raises(UsageError, match="a text, a number or a list"):
            stepwell.panel("line", metrics=value)  # type: ignore[arg-type]


def test_the_command_line_saves_lists_and_exports(
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(world.store, "cli", "run")
    Path("Loss curves.md").write_text(TEXT, "utf-8")
    assert main(["report", "put", "Loss curves.md", "--project", "cli", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["report", "ls", "--project", "cli"]) == 0
    out = capsys.readouterr().out
    assert told["id"] in out
    assert "Loss curves" in out
    assert main(["report", "ls"]) == 0
    assert "cli  Loss curves" in capsys.readouterr().out
    monkeypatch.setenv("STEPWELL_PROJECT", "cli")
    assert main(["report", "ls", "--json"]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [told["id"]]
    assert main(["report", "ls", "--project", "nope"]) == 4
    assert "no project 'nope'" in capsys.readouterr().err
    assert main(["report", "export", told["id"], "-o", "out.html"]) == 0
    content = Path("out.html").read_text("utf-8")
    assert content.startswith("<!doctype html>")
    assert content.count('class="line"') == 1
    assert [each.name for each in tmp_path.glob("*.html")] == ["out.html"]

    capsys.readouterr()
    assert main(["report", "export", "nosuch"]) != 0
    assert "report nosuch not found" in capsys.readouterr().err
    assert main(["report", "export", told["id"], "-o", "no/such/folder.html"]) == 1
    assert "give another file with -o" in capsys.readouterr().err
    Path("wrong.md").write_text("```stepwell\npanel: x\n```", "utf-8")
    assert main(["report", "put", "wrong.md", "--project", "cli"]) == 1
    assert "line 2: unknown kind of panel" in capsys.readouterr().err
    assert main(["report", "put", "none.md", "--project", "cli"]) == 1


def test_a_report_of_a_project_without_runs_is_saved_listed_and_remarked_on(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_run(world.store, "digits", "run")
    file = tmp_path / "rates.md"
    file.write_text(TEXT, "utf-8")
    assert main(["report", "put", str(file), "--project", "digits"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["report", "put", str(file), "--project", "digist"]) == 0
    told = capsys.readouterr()
    assert "/p/digist/reports/" in told.out
    assert told.err == "stepwell: project 'digist' has no runs yet; did you mean 'digits'?\n"
    assert main(["report", "ls"]) == 0
    out = capsys.readouterr().out
    assert "digist  rates" in out
    assert "digits  rates" in out


@pytest.mark.parametrize(
    "words", [("report", "ls"), ("report", "export", "abc"), ("sweep", "ls"), ("artifact", "ls")]
)
def test_commands_that_read_from_the_hub_start_no_daemon(
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("STEPWELL_HUB", "STEPWELL_HUB_KEY", "STEPWELL_NO_DAEMON"):
        monkeypatch.delenv(name, raising=False)
    started: list[object] = []
    monkeypatch.setattr("stepwell._hub._start_daemon", lambda *given: started.append(given))
    assert main(list(words)) == 3
    assert started == []
    assert "start one with `stepwell up`" in capsys.readouterr().err
