"""The pages that promise something name their tests; here they are held to it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("docs/guarantees.md", "docs/faults.md", "docs/operations.md")
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@cache
def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = _TEST.findall(text)
    assert named, f"{page} names no tests"
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or (name and name not in _tests_of(ROOT / path))
    ]
    assert not missing, f"{page} names tests that are not there: {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_a_table_of_promises_names_a_test(page: str) -> None:
    lines = (ROOT / page).read_text("utf-8").splitlines()
    unheld = []
    in_table = False
    for number, line in enumerate(lines, 1):
        if not line.startswith("|"):
            in_table = False
        elif line.rstrip().endswith("| held by |"):
            in_table = True
        elif in_table and not set(line) <= set("|- :") and not _TEST.search(line):
            unheld.append(f"{page}:{number}")
    assert not unheld, f"lines without a test: {', '.join(unheld)}"
