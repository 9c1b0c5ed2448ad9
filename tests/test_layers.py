"""Imports point down: the table of ARCHITECTURE.md, held against the code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# package -> what it may import of ours. `stepwell.cli` is the command line: it composes
# everything, and nothing imports it.
ALLOWED = {
    "stepwell_wire": set[str](),
    "stepwell": {"stepwell_wire"},
    "stepwell.cli": {
        "stepwell_wire",
        "stepwell",
        "stepwell_store",
        "stepwell_daemon",
        "stepwell_hub",
    },
    "stepwell_store": {"stepwell_wire"},
    "stepwell_daemon": {"stepwell_wire", "stepwell_store"},
    "stepwell_hub": {"stepwell_wire", "stepwell_store"},
}
FOLDERS = {
    "stepwell_wire": "proto/stepwell_wire",
    "stepwell": "sdk/stepwell",
    "stepwell_store": "daemon/stepwell_store",
    "stepwell_daemon": "daemon/stepwell_daemon",
    "stepwell_hub": "hub/stepwell_hub",
}
OURS = set(FOLDERS)
# The journal's files in `stepwell_wire`: for who writes and reads journals, not for the contract.
JOURNAL = {
    f"stepwell_wire.{name}"
    for name in (
        *(
            "segment",
            "folder",
            "journal",
            "held_segments",
            "journal_files",
            "exit_note",
        ),
        *("incomplete", "salvage", "repair"),
    )
}
JOURNAL_USERS = {"stepwell", "stepwell.cli", "stepwell_daemon"}


def _owner(path: Path, package: str) -> str:
    inside = path.relative_to(ROOT / FOLDERS[package])
    if package == "stepwell" and (inside.parts[0] == "cli" or inside.name == "__main__.py"):
        return "stepwell.cli"
    return package


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _sources() -> list[tuple[Path, str]]:
    return [
        (path, package)
        for package, folder in FOLDERS.items()
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


@pytest.mark.parametrize(
    ("path", "package"), _sources(), ids=lambda value: str(value).removeprefix(str(ROOT))
)
def test_a_file_imports_only_what_its_layer_may(path: Path, package: str) -> None:
    owner = _owner(path, package)
    for name in _imports(path):
        top = name.split(".")[0]
        if top in OURS and top != package:
            assert top in ALLOWED[owner], f"{path}: {owner} may not import {name}"
        if name == "stepwell.cli" or name.startswith("stepwell.cli."):
            assert owner == "stepwell.cli", f"{path}: nothing but the command line imports {name}"


@pytest.mark.parametrize("package", sorted(OURS - JOURNAL_USERS))
def test_neither_contract_nor_store_nor_hub_know_the_journal(package: str) -> None:
    folder = ROOT / FOLDERS[package]
    knowing = [
        f"{path}: {name}"
        for path in sorted(folder.rglob("*.py"))
        for name in _imports(path) & JOURNAL
        if f"{package}.{path.stem}" not in JOURNAL
    ]
    assert knowing == []


def test_the_journal_is_where_it_is_said_to_be() -> None:
    files = {f"stepwell_wire.{path.stem}" for path in (ROOT / "proto/stepwell_wire").glob("*.py")}
    assert files >= JOURNAL


def test_every_package_is_in_the_table() -> None:
    found = {
        path.parent.name
        for folder in ("proto", "sdk", "daemon", "hub")
        for path in (ROOT / folder).glob("*/__init__.py")
    }
    assert found == OURS


def test_no_test_module_imports_another() -> None:
    """What several test modules need is in a module of its own beside them."""
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in _imports(path)
        if name.startswith("tests.") and name.rpartition(".")[2].startswith("test_")
    ]
    assert not found
