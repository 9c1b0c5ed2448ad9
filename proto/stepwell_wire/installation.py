"""How to install more of stepwell, from the same origin as this installation."""

import json
import shlex
from importlib.metadata import Distribution, PackageNotFoundError
from urllib.parse import unquote, urlsplit

_NAME = "stepwell"


def install_command(extra: str) -> str:
    """Return the command that adds ``extra`` to this installation.

    An installation from a folder, a file or a repository is named by its origin: the package
    index may not have this release.
    """
    return f"pip install {_requirement(extra, _origin())}"


def _requirement(extra: str, origin: dict[str, object]) -> str:
    url = str(origin.get("url", ""))
    if not url:
        return shlex.quote(f"{_NAME}[{extra}]")
    if "dir_info" in origin and url.startswith("file:"):
        folder = shlex.quote(f"{unquote(urlsplit(url).path)}[{extra}]")
        is_editable = isinstance(origin["dir_info"], dict) and origin["dir_info"].get("editable")
        return f"-e {folder}" if is_editable else folder
    system = origin.get("vcs_info")
    prefix = f"{system['vcs']}+" if isinstance(system, dict) and "vcs" in system else ""
    return shlex.quote(f"{_NAME}[{extra}] @ {prefix}{url}")


def _origin() -> dict[str, object]:
    """Return what pip noted about the origin (PEP 610), nothing for a package index."""
    try:
        text = Distribution.from_name(_NAME).read_text("direct_url.json")
        found = json.loads(text or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
