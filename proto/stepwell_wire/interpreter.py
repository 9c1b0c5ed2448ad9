"""The Python that helper processes are started with: daemon, engine, relay, hub, workers.

`sys.executable` is not always a Python. In a frozen application, and in a program that embeds
Python, it is that program: started as a helper, it would run the whole application again.
"""

import errno
import os
import sys
from collections.abc import Mapping

PYTHON_VARIABLE = "STEPWELL_PYTHON"
"""Names a Python with stepwell, if `sys.executable` is not one."""

_DROPPED = ("CUDA_VISIBLE_DEVICES", "LD_PRELOAD")
"""A training job's limits on devices, and what it loads into its own processes."""
_DROPPED_PREFIXES = ("GRPC_", "PYTHON")
_KEPT_OF_PYTHON = (
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
)
_OF_A_DAEMON = frozenset(
    (
        *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LANGUAGE", "TZ", "TZDIR"),
        *("TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    )
)
"""Variables that a personal daemon gets."""
_PREFIXES_OF_A_DAEMON = (
    *("STEPWELL", "LC_", "XDG_", "PYTHON", "SSL_CERT_", "OPENSSL_", "MALLOC_", "COVERAGE_"),
    *("OMP_", "OPENBLAS_", "MKL_"),
)
_NEEDED = (
    *("stepwell_wire", "stepwell", "stepwell_store", "stepwell_daemon", "stepwell_hub"),
    *("grpc", "google", "msgpack", "numpy", "chdb", "lz4", "prometheus_client", "psutil"),
    *("uvloop", "PIL", "blake3", "pyarrow", "pynvml", "clickhouse_driver", "starlette"),
    *("uvicorn", "httptools", "msgspec", "sqlalchemy", "alembic", "psycopg"),
)
"""Packages that helpers import; a folder of PYTHONPATH without them is the script's own."""


class NoPythonError(OSError):
    """This process knows no Python that a helper could be started with."""

    def __init__(self) -> None:
        super().__init__(
            errno.ENOEXEC,
            "this application contains no Python interpreter to start helper processes; set "
            f"{PYTHON_VARIABLE} to one that has stepwell installed",
            sys.executable or "sys.executable",
        )

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


def python() -> str:
    """Return the path of a Python interpreter.

    Raises:
        NoPythonError: `sys.executable` is another program, and STEPWELL_PYTHON names none.
    """
    if _is_python(sys.executable or ""):
        return sys.executable
    named = os.environ.get(PYTHON_VARIABLE, "")
    if named and os.access(named, os.X_OK) and os.path.abspath(named) != sys.executable:
        return named
    raise NoPythonError


def helper_command(module: str) -> list[str]:
    """Return the words that run ``module``; no file in the working folder can replace it.

    Raises:
        NoPythonError: There is no Python to run it.
    """
    return [python(), "-P", "-m", module]


def helper_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return ``environ`` for a helper that outlives a training script, or works beside it.

    Variables that are meant for the script alone are removed: switches of Python and of grpc,
    the devices it may use, and the folders of PYTHONPATH that hold no package of a helper.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name in _KEPT_OF_PYTHON
        or (name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES))
    }
    if folders := _package_folders(environ.get("PYTHONPATH", "")):
        kept["PYTHONPATH"] = os.pathsep.join(folders)
    return kept


def daemon_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what a personal daemon and its hub get of the environment of the script.

    They outlive it and serve other scripts: its credentials must not stay in their memory.
    """
    return {
        name: value
        for name, value in helper_environment(environ).items()
        if name in _OF_A_DAEMON or name.startswith(_PREFIXES_OF_A_DAEMON)
    }


def _package_folders(python_path: str) -> list[str]:
    """Return the folders beside the installation's own that hold packages of helpers."""
    named = [os.path.abspath(part) for part in python_path.split(os.pathsep) if part]
    found = [
        folder
        for folder in named
        if any(os.path.exists(os.path.join(folder, name)) for name in _NEEDED)
    ]
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    site = sys.modules.get("site")
    installed = (sys.prefix, sys.base_prefix, getattr(site, "USER_SITE", None) or sys.prefix)
    if own not in found and not f"{own}/".startswith(tuple(f"{each}/" for each in installed)):
        found.append(own)  # From a checkout, or from a folder that the script put into sys.path.
    return found


def _is_python(path: str) -> bool:
    """Return whether ``path`` looks like an interpreter; it is not run for this check."""
    main = sys.modules.get("__main__")
    if not path or getattr(sys, "frozen", False) or hasattr(main, "__compiled__"):
        return False
    names = {os.path.basename(path), os.path.basename(os.path.realpath(path))}
    return any(_is_name_of_python(name) for name in names)


def _is_name_of_python(name: str) -> bool:
    import re  # Not at the top: `import stepwell` reads this file's callers.

    return re.fullmatch(r"(python|pypy|graalpy)[\d.]*[a-z]{0,2}(-dbg|-intel64)?", name) is not None
