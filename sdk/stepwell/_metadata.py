"""Where and how a run was started: command, host, Python, packages, git.

Collected on the sender's thread, after `init` has returned. Nothing here raises.
"""

import contextlib
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stepwell._gpu_environment import gpu_environment
from stepwell._names import text_of
from stepwell._secrets import hide_secrets

_GIT_SECONDS_MAX: Final = 5.0
_PACKAGES_MAX: Final = 2000
_WANDB_SITE: Final = os.path.join(os.path.dirname(os.path.realpath(__file__)), "wandb_compat/site")
"""The folder of our module `wandb`: the distribution in it is not installed."""


def collect_metadata(*, git: bool = True) -> dict[str, Any]:
    """Return the metadata of this process; a part that cannot be found is left out."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "host": _host,
        "python": _python,
        "command": _command,
        "environment": gpu_environment,
        "packages": _packages,
    }
    if git:
        parts["git"] = lambda: collect_git(Path.cwd())
    found: dict[str, Any] = {}
    for name, collect in parts.items():
        with contextlib.suppress(Exception):  # Such as a current folder that was deleted.
            if part := collect():
                found[name] = part
    return found


def collect_git(folder: Path) -> dict[str, Any]:
    """Return commit, branch, remote and whether something is uncommitted; {} outside git."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if not top:
        return {}
    found: dict[str, Any] = {"root": top}
    if commit := _git(folder, "rev-parse", "HEAD"):
        found["commit"] = commit
    if branch := _git(folder, "symbolic-ref", "--short", "-q", "HEAD"):
        found["branch"] = branch
    if remote := _git(folder, "config", "--get", "remote.origin.url"):
        found["remote"] = without_password(remote)
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if status is not None:
        found["dirty"] = bool(status)
    return found


def without_password(remote: str) -> str:
    """Return a git remote without the user and password that an https address may hold."""
    scheme, mark, rest = remote.partition("://")
    if not mark:
        return remote
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _host() -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": socket.gethostname(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count() or 0,
    }
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found["memory_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, AttributeError):
        found["cpu_allowed_count"] = len(os.sched_getaffinity(0))
    return found


def _python() -> dict[str, Any]:
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable or "",
    }


def _command() -> dict[str, Any]:
    arguments = list(getattr(sys, "orig_argv", [])) or [sys.executable, *sys.argv]
    found: dict[str, Any] = {"line": hide_secrets([text_of(each) for each in arguments])}
    with contextlib.suppress(OSError):
        found["folder"] = os.getcwd()
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main:
        found["program"] = text_of(main)  # Absolute, unless the current folder was deleted.
        with contextlib.suppress(OSError):
            found["program"] = text_of(os.path.abspath(main))
    found["pid"] = os.getpid()
    return found


def _packages() -> dict[str, str]:
    """Return installed distributions by the names of their folders: no file is opened."""
    found: dict[str, str] = {}
    for place in sys.path:
        if os.path.realpath(place) == _WANDB_SITE:
            continue
        with contextlib.suppress(OSError):
            for name in os.listdir(place or "."):
                if name.endswith(".dist-info") and len(found) < _PACKAGES_MAX:
                    package, mark, version = name[: -len(".dist-info")].partition("-")
                    if mark:
                        found.setdefault(package, version)
    return dict(sorted(found.items()))


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output, None if git fails or is missing."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if done.returncode != 0:
        return None
    return done.stdout.decode("utf-8", "replace").strip()
