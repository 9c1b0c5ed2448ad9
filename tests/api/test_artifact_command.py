"""`stepwell artifact`, over a real hub."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepwell.cli.__main__ import main
from tests.api.conftest import World
from tests.api.made_artifacts import FILES, make_version


@pytest.fixture
def project(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("STEPWELL_HUB", world.url)
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    monkeypatch.chdir(tmp_path)
    name = f"p-{uuid.uuid4().hex[:8]}"
    make_version(world, name, "data", {"old": b"1"})
    make_version(world, name, "data", FILES, "best")
    odd = {"x": {"$float": "Infinity"}, "y": [{"$float": "NaN"}]}
    make_version(world, name, "net", {"x": b"1"}, type="model", metadata=odd)
    yield name
    if (tmp_path / "no-daemon.sock").exists():  # `put` started one.
        main(["down"])


def test_ls_lists_artifacts_and_versions(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["artifact", "ls", project]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{project}/data  dataset  2 versions  5.1 MB")
    assert second.startswith(f"{project}/net  model  1 version  1 B")
    assert main(["artifact", "ls", project, "--type", "model", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "net"
    assert main(["artifact", "ls", f"{project}/net", "--json"]) == 0
    odd = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["metadata"]
    for place in ([], ["net"], ["data:v1"]):
        assert main(["artifact", "ls", *place, "--project", project]) == 0
        with_option = capsys.readouterr().out
        assert main(["artifact", "ls", "/".join([project, *place])]) == 0
        assert with_option == capsys.readouterr().out != ""
    assert odd == {"x": "Infinity", "y": ["NaN"]}
    assert main(["artifact", "ls", f"{project}/data"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{project}/data:v1  (best, latest)  4 files  5.1 MB")
    assert second.startswith(f"{project}/data:v0  1 file  1 B")


def test_get_fetches_and_verify_compares(
    project: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = f"{project}/data:best"
    assert main(["artifact", "get", name]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder == tmp_path / "artifacts" / "data:v1"
    assert (folder / "a.txt").read_bytes() == FILES["a.txt"]
    assert main(["artifact", "verify", name]) == 0
    assert "the files of data:v1" in capsys.readouterr().out
    (folder / "a.txt").write_bytes(b"other")
    (folder / "mine").write_bytes(b"")
    assert main(["artifact", "verify", name, "--root", str(folder), "--json"]) == 1
    found: Any = json.loads(capsys.readouterr().out)
    assert (found["missing"], found["changed"], found["extra"]) == ([], ["a.txt"], ["mine"])
    assert main(["artifact", "get", name, "--prefix", "sub/", "--root", "here"]) == 0
    assert sorted(each.name for each in Path("here").iterdir()) == ["sub"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["get", "{}/data:v9"], 4, "has no version 'v9'"),
        (["get", "{}/data", "--type", "model"], 2, "is of type 'dataset', not 'model'"),
        (["get", "data"], 2, "no project"),
        (["ls", "{}/date"], 4, "did you mean 'data'"),
        (["ls", "{}x"], 4, "no project"),
        (["ls", "{}/data", "--project", "p"], 2, "names a project, and so does --project 'p'"),
        (["ls", "--project", "{}/data"], 2, "is no name of a project"),
        (["get", "{}/data", "--prefix", "nix", "--root", "made"], 4, "no file of"),
        (["rm", "{}/data", "--yes"], 2, "is not a name of a version"),
        (["rm", "{}/data:v0"], 2, "add --yes"),
        (["rm", "{}/data:v9"], 4, "has no version 'v9'"),
        (["rm", "{}/data:v1", "--yes"], 1, "has the aliases best, latest; add --with-aliases"),
        (["put", ".", "--name", "{}/data"], 2, "no files there"),
        (
            ["put", "/etc/hosts", "here/hosts", "--name", "{}/data"],
            2,
            "have the same name in the artifact, 'hosts'",
        ),
        (["put", "/etc/hosts", "--name", "{}/data", "--alias", "v7"], 2, "alias 'v7'"),
        (["put", "/etc/hosts", "--name", "{}/net"], 2, "is of type 'model', not 'dataset'"),
        (["put", "/etc/hosts", "--name", "{}/größe"], 2, "'größe'"),
        (["verify", "{}/data"], 1, "No such file or directory; name another folder"),
    ],
)
def test_what_goes_wrong_is_one_line(
    project: str, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert main(["artifact", *(each.format(project) for each in words)]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stepwell: ")
    assert said in line
    assert not Path("made").exists()


def test_a_version_lists_its_files_and_is_deleted(
    project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["artifact", "ls", f"{project}/data:v0"]) == 0
    assert capsys.readouterr().out == "old  1 B\n"
    assert main(["artifact", "ls", f"{project}/data:best", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["path"]: each["size"] for each in listed} == {
        path: len(data) for path, data in FILES.items()
    }
    assert main(["artifact", "rm", f"{project}/data:v0", "--yes"]) == 0
    assert capsys.readouterr().out == f"deleted {project}/data:v0\n"
    assert main(["artifact", "rm", f"{project}/data:v1", "--yes", "--with-aliases"]) == 0
    capsys.readouterr()
    assert main(["artifact", "ls", f"{project}/data"]) == 0
    assert capsys.readouterr().out == ""


def test_an_empty_list_says_what_there_is(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["artifact", "ls", project, "--type", "modell"]) == 0
    said = capsys.readouterr().err
    assert f"no artifacts of type 'modell' in project '{project}'" in said
    assert "there are 'dataset', 'model'" in said
