"""Count the lines of proto, SDK, daemon and store: at an earlier commit and now, by folder.

    python scripts/count_lines.py [--base COMMIT] [--root FOLDER] [--feature LINES]

Counted are committed, hand-written files: Python, protobuf and SQL under `proto`, `sdk` and
`daemon`. Blank lines and comments count. Generated files (`*_pb2.py`, `*_pb2.pyi`) do not, and
neither do tests, which are outside of these folders.

Each file of today is in one of two classes:

- It *descends*: its path existed at the base commit, or git found it renamed or copied from a
  file that descends, or a third of its lines were in files of the base commit. A feature that was
  written into such a file counts here too, so the class is rather too large than too small.
- It was *added*: every other file.

`kept` counts lines of today that were in some file of the base commit, character by character but
for the indentation. Blank lines are never kept. It is a lower bound: a reworded line is not kept.

Below the table, each line of the files that descend is given to the commit that wrote it, as
`git blame` says; a line that was moved stays with its first writer. A commit that made the counted
folders longer by `--feature` lines or more brought a feature, so its lines are what features added
to these files. The others are the earlier code as it is now.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BASE: Final = "85630cc"
"""The last commit before the round of 2026-11-26."""

FOLDERS: Final = ("proto", "sdk", "daemon")
SUFFIXES: Final = (".py", ".proto", ".sql")
GENERATED: Final = ("_pb2.py", "_pb2_grpc.py")
KEPT_RATIO_MIN: Final = 1 / 3
"""A file with this share of old lines descends: git sees one target of a split file, or none."""
FEATURE_LINES_MIN: Final = 100
"""What makes the folders longer by so much is a feature; mends and refactorings are smaller."""


class CountError(Exception):
    """git could not answer; the message says what was asked and what git said."""


@dataclass(frozen=True, kw_only=True)
class Count:
    """Lines of one folder, or of several."""

    then: int = 0
    descending: int = 0
    kept: int = 0
    added: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            then=self.then + other.then,
            descending=self.descending + other.descending,
            kept=self.kept + other.kept,
            added=self.added + other.added,
        )


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CountError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def is_counted(path: str) -> bool:
    """Return whether the file at ``path`` is hand-written source."""
    return path.endswith(SUFFIXES) and not path.endswith(GENERATED)


def sources_at(root: Path, commit: str) -> dict[str, list[str]]:
    """Return the lines of each counted file of ``commit``, by path."""
    paths = _git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", *FOLDERS).split("\0")
    return {
        path: _git(root, "show", f"{commit}:{path}").splitlines()
        for path in paths
        if is_counted(path)
    }


def moves_since(root: Path, base: str) -> list[tuple[str, str]]:
    """Return (from, to) of each rename and copy that git finds after ``base``, oldest first."""
    fields = _git(
        root, "log", "--reverse", "-M", "-C", "-z", "--name-status", "--diff-filter=RC",
        "--format=", f"{base}..HEAD", "--", *FOLDERS,
    ).split("\0")  # fmt: skip
    fields = [field.lstrip("\n") for field in fields if field.strip()]
    return list(zip(fields[1::3], fields[2::3], strict=True))


def descendants(paths: Iterable[str], moves: Sequence[tuple[str, str]]) -> set[str]:
    """Return ``paths`` and all that ``moves``, oldest first, made of them."""
    found = set(paths)
    for source, target in moves:
        if source in found:
            found.add(target)
    return found


def kept_lines(lines: Iterable[str], before: Counter[str]) -> int:
    """Return how many of ``lines`` are in ``before``, blank ones left out.

    Each line of ``before`` counts as often as it was there; the caller passes a copy if another
    file may match the same lines again.
    """
    kept = 0
    for line in map(str.strip, lines):
        if line and before[line]:
            before[line] -= 1
            kept += 1
    return kept


def folder_of(path: str) -> str:
    """Return the part of ``path`` that a row of the table names: three levels at most."""
    return "/".join(path.split("/")[:-1][:3])


def classed(
    then: Mapping[str, list[str]], now: Mapping[str, list[str]], moves: Sequence[tuple[str, str]]
) -> list[tuple[str, int, bool]]:
    """Return each path of ``now``, its number of kept lines, and whether it descends."""
    before = Counter(line.strip() for lines in then.values() for line in lines)
    by_lineage = descendants(then, moves)
    found = []
    for path in sorted(now, key=lambda path: (path not in by_lineage, path)):
        kept, held = kept_lines(now[path], before), len(now[path])
        has_old_lines = bool(held) and kept >= KEPT_RATIO_MIN * held
        found.append((path, kept, path in by_lineage or has_old_lines))
    return found


def count(
    then: Mapping[str, list[str]], now: Mapping[str, list[str]], moves: Sequence[tuple[str, str]]
) -> dict[str, Count]:
    """Return the lines of each folder of ``then`` and ``now``."""
    counts: dict[str, Count] = {}

    def add(path: str, more: Count) -> None:
        counts[folder_of(path)] = counts.get(folder_of(path), Count()) + more

    for path, lines in then.items():
        add(path, Count(then=len(lines)))
    for path, kept, descends in classed(then, now, moves):
        held = len(now[path])
        add(path, Count(descending=held, kept=kept) if descends else Count(added=held, kept=kept))
    return counts


def growth_since(root: Path, base: str) -> dict[str, int]:
    """Return by how many counted lines each commit after ``base`` made the folders longer."""
    growth: dict[str, int] = {}
    listed = _git(
        root, "log", "--no-merges", "--no-renames", "--numstat", "--format=commit %H",
        f"{base}..HEAD", "--", *FOLDERS,
    )  # fmt: skip
    commit = ""
    for line in listed.splitlines():
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
            growth[commit] = 0
        elif line:
            more, less, path = line.split("\t", 2)
            if is_counted(path):
                growth[commit] += int(more) - int(less)
    return growth


def writers_of(root: Path, base: str, path: str) -> Counter[str]:
    """Return how many lines of ``path`` each commit wrote; those of ``base`` count for ``""``."""
    found: Counter[str] = Counter()
    for line in _git(
        root, "blame", "-s", "-l", "-w", "-M", "-C", f"{base}..HEAD", "--", path
    ).split("\n"):
        if line:
            found["" if line.startswith("^") else line.split(" ", 1)[0]] += 1
    return found


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Who wrote the lines of the files that descend."""

    earlier: int
    features: int
    others: int

    def text(self, then: int, feature_lines: int) -> str:
        """Return it in words; ``then`` is the number of lines at the base commit."""
        without = self.earlier + self.others
        share = 1 - without / then if then else 0.0
        return (
            f"files that descend: {self.earlier + self.features + self.others:,} lines\n"
            f"  {self.earlier:,} are of the base commit, in place or moved\n"
            f"  {self.features:,} were added by features (commits of {feature_lines}+ lines)\n"
            f"  {self.others:,} were written by other commits since\n"
            f"without what features added: {without:,} of {then:,} lines then, {share:.1%} fewer"
        )


def origins(
    writers: Iterable[Counter[str]], growth: Mapping[str, int], feature_lines: int
) -> Origins:
    """Return the origins of lines by their ``writers`` and each commit's ``growth``."""
    lines = sum(writers, Counter[str]())
    earlier = lines.pop("", 0)
    features = sum(n for commit, n in lines.items() if growth.get(commit, 0) >= feature_lines)
    return Origins(earlier=earlier, features=features, others=lines.total() - features)


def table_of(counts: Mapping[str, Count]) -> str:
    """Return ``counts`` as a table for a terminal, with the sum of all."""
    rows = [(folder, counts[folder]) for folder in sorted(counts)]
    rows.append(("all", sum(counts.values(), Count())))
    width = max(len(folder) for folder, _ in rows)
    heads = ("then", "now", "descends", "kept", "added")
    lines = [" ".join([f"{'folder':{width}}", *(f"{head:>9}" for head in heads)])]
    for folder, of in rows:
        facts = (of.then, of.descending + of.added, of.descending, of.kept, of.added)
        lines.append(" ".join([f"{folder:{width}}", *(f"{fact:>9,}" for fact in facts)]))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default=BASE, help=f"the earlier commit (default: {BASE})")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to count")
    parser.add_argument(
        "--feature", type=int, default=FEATURE_LINES_MIN, metavar="LINES",
        help=f"a commit that adds so many lines brought a feature (default: {FEATURE_LINES_MIN})",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    root, base = options.root, options.base
    try:
        then, now, moves = sources_at(root, base), sources_at(root, "HEAD"), moves_since(root, base)
        descending = [path for path, _, descends in classed(then, now, moves) if descends]
        writers = [writers_of(root, base, path) for path in descending]
        found = origins(writers, growth_since(root, base), options.feature)
    except CountError as error:
        print(f"count_lines: {error}", file=sys.stderr)
        print("A shallow clone has no earlier commits: git fetch --unshallow", file=sys.stderr)
        return 1
    counts = count(then, now, moves)
    print(table_of(counts))
    print(found.text(sum(of.then for of in counts.values()), options.feature))
    return 0


if __name__ == "__main__":
    sys.exit(main())
