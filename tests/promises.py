"""Which test holds which promise.

    python -m tests.promises             each promise of the docs and its tests
    python -m tests.promises flipped-bit the tests of some, as arguments for pytest

A table of the docs whose last column is `held by` gives each line a name; a test says with
`@pytest.mark.holds("name")`, or a module with `pytestmark`, that it tries to break it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = ("docs/guarantees.md", "docs/faults.md", "docs/operations.md")
_NAME: Final = re.compile(r"`([a-z0-9-]+)`")


def promises() -> dict[str, str]:
    """Return the page and line of each promise, by its name; "" names a line without one."""
    found: dict[str, str] = {}
    for page in PAGES:
        is_table = False
        for number, line in enumerate((ROOT / page).read_text("utf-8").splitlines(), 1):
            if not line.startswith("|"):
                is_table = False
            elif line.rstrip().endswith("| held by |"):
                is_table = True
            elif is_table and not set(line) <= set("|- :"):
                last = line.strip().strip("|").rpartition("|")[2]
                name = _NAME.fullmatch(last.strip())
                found[name[1] if name else ""] = f"{page}:{number}"
    return found


def holders() -> dict[str, list[str]]:
    """Return the tests that hold each promise, as pytest names them."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.parse(path.read_text("utf-8")).body:
            test, marks = _marks_of(node)
            for promise in marks:
                found.setdefault(promise, []).append(f"{name}::{test}" if test else name)
    return found


def _marks_of(node: ast.stmt) -> tuple[str, list[str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name, [each for one in node.decorator_list for each in _held(one)]
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "pytestmark":
        return "", [each for one in ast.walk(node.value) for each in _held(one)]
    return "", []


def _held(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "holds":
        yield from (str(each.value) for each in node.args if isinstance(each, ast.Constant))


def main(names: list[str]) -> None:
    held, known = holders(), promises()
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(
            f"no promise is called {', '.join(unknown)}; without names, all are listed"
        )
    if names:
        print("\n".join(sorted({test for name in names for test in held.get(name, [])})))
        return
    for name, place in known.items():
        print(f"{name}  ({place})", *(f"    {test}" for test in held.get(name, [])), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
