"""`scripts/count_lines.py`: which lines descend from earlier files, and which were added."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from scripts import count_lines
from scripts.count_lines import Count, Origins

FORMER = [f"former = {number}" for number in range(30)]
NEW = [f"new = {number}" for number in range(30)]


def test_only_hand_written_sources_are_counted() -> None:
    assert count_lines.is_counted("proto/stepwell_wire/ingest.proto")
    assert count_lines.is_counted("sdk/stepwell/run.py")
    assert not count_lines.is_counted("proto/stepwell_wire/ingest_pb2.py")
    assert not count_lines.is_counted("proto/stepwell_wire/ingest_pb2.pyi")
    assert not count_lines.is_counted("sdk/stepwell/py.typed")


def test_moves_are_followed_in_their_order() -> None:
    moves = [("a", "b"), ("b", "c"), ("x", "y"), ("z", "a")]
    assert count_lines.descendants({"a"}, moves) == {"a", "b", "c"}


def test_an_earlier_line_is_kept_once_and_a_blank_one_never() -> None:
    before = Counter(["return", ""])
    assert count_lines.kept_lines(["    return", "return", ""], before) == 1


def test_a_file_descends_by_its_path_by_a_move_or_by_its_lines() -> None:
    then = {
        "sdk/p/same.py": FORMER[:10],
        "sdk/p/moved.py": FORMER[10:20],
        "daemon/d.py": FORMER[20:],
    }
    now = {
        "sdk/p/same.py": NEW[:5],
        "sdk/q/moved.py": NEW[5:8],
        "sdk/q/split.py": [*FORMER[20:24], *NEW[8:16]],  # A third of it is old.
        "sdk/q/added.py": [*FORMER[24:27], *NEW[16:]],
    }
    counts = count_lines.count(then, now, [("sdk/p/moved.py", "sdk/q/moved.py")])
    assert counts == {
        "sdk/p": Count(then=20, descending=5),
        "sdk/q": Count(descending=15, kept=7, added=17),
        "daemon": Count(then=10),
    }


def test_lines_of_large_commits_are_what_features_added() -> None:
    writers = [Counter({"": 10, "feature": 5}), Counter({"": 3, "mend": 2, "less": 1})]
    found = count_lines.origins(writers, {"feature": 100, "mend": 99, "less": -40}, 100)
    assert found == Origins(earlier=13, features=5, others=3)
    assert "16 of 20 lines then, 20.0% fewer" in found.text(20, 100)


def test_a_repository_is_counted_with_its_renames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(files: dict[str, list[str]]) -> str:
        for path, lines in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("\n".join(lines) + "\n")
        git("add", "--all")
        git("commit", "--quiet", "--message", "a step")
        return git("rev-parse", "HEAD")

    git("init", "--quiet")
    base = commit({"sdk/p/old name.py": FORMER, "hub/not_counted.py": FORMER})
    git("mv", "sdk/p/old name.py", "sdk/p/moved.py")
    commit({})
    # Rewritten since: only the rename says where it comes from.
    commit({"sdk/p/moved.py": NEW[:20], "daemon/d/added.py": NEW})
    commit({"sdk/p/moved.py": [*NEW[:18], "a = 1", "b = 2"]})

    assert count_lines.main(["--root", str(tmp_path), "--base", base, "--feature", "20"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert rows[0] == ["folder", "then", "now", "descends", "kept", "added"]
    assert ["sdk/p", "30", "20", "20", "0", "0"] in rows
    assert ["all", "30", "50", "20", "0", "30"] in rows
    assert "18 were added by features (commits of 20+ lines)" in printed
    assert "2 were written by other commits since" in printed

    assert count_lines.main(["--root", str(tmp_path), "--base", "f" * 40]) == 1
    assert "git fetch --unshallow" in capsys.readouterr().err
