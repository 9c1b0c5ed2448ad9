"""Pages name files and modules that exist: a rename takes the pages along."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = (
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md")),
    ROOT / "hub/web/README.md",
)
FOLDERS: Final = (
    *("proto", "sdk", "daemon", "hub/stepwell_hub", "hub/web/src"),
    *("benchmarks", "deploy", "docs", "scripts", "tests"),
)
ENDINGS: Final = ("css", "md", "proto", "py", "sh", "sql", "toml", "ts", "tsx", "yaml", "yml")

_BLOCK: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_FILE: Final = re.compile(rf"[\w-][\w.-]*(?:/[\w.-]+)+\.(?:{'|'.join(ENDINGS)})")
_FOLDER: Final = re.compile(rf"(?:{'|'.join(FOLDERS)}|hub|hub/web)/(?:[\w.-]+/)*")
_MODULE: Final = re.compile(r"stepwell_\w+(?:\.\w+)*")
_PUBLIC: Final = re.compile(r"stepwell(?:\.\w+)+")
_NO_MODULE: Final = ("stepwell.columns", "stepwell.v1")
"""A key of a table's file, and the package of the gRPC services."""
_PACKAGES: Final = ("stepwell_wire", "stepwell_store", "stepwell_daemon", "stepwell_hub")


@cache
def _files() -> frozenset[str]:
    """Return every file, and every shorter way to name it: `a/b.py` of `daemon/x/a/b.py`."""
    found = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.*"):
            parts = path.relative_to(ROOT).parts
            found |= {"/".join(parts[start:]) for start in range(len(parts) - 1)}
    return frozenset(found)


def _exists(name: str) -> bool:
    """Return whether a module, or what it holds, is there."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return all(hasattr(found, each) for each in parts[count : count + 1])
    return False


def _missing(text: str, page: Path) -> Iterator[str]:
    text = _BLOCK.sub("", text)
    for name in _CODE.findall(text):
        if _FILE.fullmatch(name) and not (ROOT / name).exists() and name not in _files():
            yield f"`{name}`: no such file"
        if _FOLDER.fullmatch(name) and not (ROOT / name).is_dir():
            yield f"`{name}`: no such folder"
        is_module = _MODULE.fullmatch(name) and name.split(".")[0] in _PACKAGES
        is_public = _PUBLIC.fullmatch(name) and not name.startswith(_NO_MODULE)
        if (is_module or is_public) and not _exists(name):
            yield f"`{name}`: no such module or name"
    for target in _LINK.findall(text):
        if "://" not in target and not (page.parent / target).exists():
            yield f"({target}): the link leads nowhere"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    assert list(_missing(page.read_text(), page)) == []


def test_what_does_not_exist_is_found() -> None:
    text = (
        "`spool/no_such.py` `daemon/no_such/` `stepwell_store.no_such` `stepwell.no_such` "
        "[x](no_such.md) `stepwell_store/store.py` `stepwell_store.store.Store` `daemon/`"
    )
    assert len(list(_missing(text, ROOT / "README.md"))) == 5
