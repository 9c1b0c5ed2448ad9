"""A Dockerfile's instructions, and the files that its build is sent."""

import fnmatch
import re
import shutil
from pathlib import Path


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return (instruction, arguments) in order, continued lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", dockerfile.read_text()).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines]


def runs(dockerfile: Path, stage: str) -> list[str]:
    """Return the commands of one stage's RUN instructions."""
    found, current = [], ""
    for name, arguments in instructions(dockerfile):
        if name == "FROM":
            current = arguments.rpartition(" AS ")[2] if " AS " in arguments else ""
        elif name == "RUN" and current == stage:
            found.append(arguments)
    return found


def copy_context(root: Path, dockerignore: Path, target: Path) -> None:
    """Copy what the build is sent: a list that excludes all, adds paths, and takes some away.

    Only the patterns that our file has are understood: `*`, `!PATH`, `PATH` and `**/NAME`.
    """
    lines = [line for line in dockerignore.read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    added = [line[1:] for line in lines[1:] if line.startswith("!")]
    removed = [line for line in lines[1:] if not line.startswith("!")]
    assert all(line.startswith("**/") or "*" not in line for line in [*added, *removed])

    def left_out(folder: str, names: list[str]) -> set[str]:
        inside = Path(folder).relative_to(root)
        return {
            name
            for name in names
            for pattern in removed
            if str(inside / name) == pattern
            or (pattern.startswith("**/") and fnmatch.fnmatch(name, pattern[3:]))
        }

    for path in added:
        source, copy = root / path, target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=left_out)
        else:
            shutil.copy(source, copy)
