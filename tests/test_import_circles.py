"""No import of ours leads back to where it began: every file can be read after those below it.

An import inside a function counts as one at the top does: it only hides a circle. So does an import
for a type checker alone. The page's files are checked likewise.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {
    "stepwell_wire": "proto/stepwell_wire",
    "stepwell": "sdk/stepwell",
    "wandb": "sdk/stepwell/wandb_compat/site/wandb",
    "stepwell_store": "daemon/stepwell_store",
    "stepwell_daemon": "daemon/stepwell_daemon",
    "stepwell_hub": "hub/stepwell_hub",
}


def _modules() -> dict[str, Path]:
    found: dict[Path, str] = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[path] = ".".join((package, *parts)).removesuffix(".__init__")
    return {name: path for path, name in found.items()}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what can run below ``node``: all but the bodies of ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from _running(other)
            continue
        yield child
        yield from _running(child)


def _imported(source: str, known: Iterable[str], *, with_types: bool = False) -> set[str]:
    """Return which of the ``known`` modules ``source`` imports, at the top or inside of functions.

    ``from package import name`` is the module ``package.name`` where there is one.

    Args:
        with_types: also what is imported for a type checker alone.
    """
    modules = set(known)
    names: set[str] = set()
    tree = ast.parse(source)
    for node in ast.walk(tree) if with_types else _running(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "an import names the whole module"
            assert node.level == 0, "an import names the whole module"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if inner in modules else node.module)
    return names & modules


def _circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules each of which imports its way to every other of its group."""
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        ahead = list(arrows[start])
        while ahead:
            name = ahead.pop()
            if name not in seen:
                seen.add(name)
                ahead += arrows[name]
        reached[start] = seen
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in arrows
        if name in reached[name]
    }
    return sorted(map(list, groups))


def _arrows(*, with_types: bool = False) -> dict[str, set[str]]:
    modules = _modules()
    arrows = {
        name: _imported(path.read_text(), modules, with_types=with_types) - {name}
        for name, path in modules.items()
    }
    assert len(arrows) > 300
    assert sum(map(len, arrows.values())) > 1000
    return arrows


def test_no_files_name_each_other_in_types() -> None:
    assert _circles(_arrows(with_types=True)) == [], (
        "describe what is needed of the other by a Protocol in a file below both"
    )


def test_no_files_of_the_page_import_each_other() -> None:
    """Also types; a page that is loaded later by ``import("…")`` counts as well."""
    source = ROOT / "hub/web/src"
    files = {path for path in source.rglob("*") if path.suffix in (".ts", ".tsx")}
    arrows: dict[str, set[str]] = {}
    for path in files:
        named = re.findall(r'(?:from|import\(|import) ?"(\.[^"?]+?)\.js"', path.read_text())
        stems = {(path.parent / name).resolve() for name in named}
        found = {other for other in files if other.with_suffix("") in stems}
        arrows[str(path.relative_to(source))] = {str(each.relative_to(source)) for each in found}
    assert len(arrows) > 150
    assert sum(map(len, arrows.values())) > 500
    assert _circles(arrows) == []


def test_no_import_leads_back_to_where_it_began() -> None:
    arrows = _arrows()
    circles = _circles(arrows)
    assert not circles, (
        "these files import each other; move what both need into a file below them, or pass in "
        "what is called back:\n"
        + "\n".join(
            f"{name} -> {', '.join(sorted(arrows[name] & set(group)))}"
            for group in circles
            for name in group
        )
    )


@pytest.mark.parametrize(
    "source",
    [
        "from pack import other\n",
        "import pack.other\n",
        "from pack.other import thing\n",
        "def f():\n    from pack import other\n",
        "class C:\n    def f(self):\n        if self:\n            import pack.other as o\n",
        "if TYPE_CHECKING:\n    import pack\nelse:\n    import pack.other\n",
    ],
)
def test_a_circle_is_seen_wherever_its_imports_stand(source: str) -> None:
    known = ["pack", "pack.one", "pack.other"]
    arrows = {"pack": set[str](), "pack.one": _imported(source, known), "pack.other": {"pack.one"}}
    assert _circles(arrows) == [["pack.one", "pack.other"]]


def test_what_only_a_type_checker_imports_is_no_arrow() -> None:
    source = "if typing.TYPE_CHECKING:\n    from pack import other\n"
    assert not _imported(source, ["pack", "pack.other"])
    assert _imported(source, ["pack", "pack.other"], with_types=True) == {"pack.other"}
