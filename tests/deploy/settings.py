"""Settings files of deploy/, read by the loaders of daemon and hub: an unknown name is an error."""

import argparse
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepwell_daemon import config as daemon
from stepwell_daemon import part_settings
from stepwell_hub import config as hub


def load_daemon(path: Path, folder: Path, **environ: str) -> daemon.DaemonConfig:
    """Return the daemon's settings; the secrets that they name are made in ``folder``."""
    return _load(path, folder, daemon.build_parser, part_settings.load_config, environ)


def load_hub(path: Path, folder: Path, **environ: str) -> hub.HubConfig:
    """Return the hub's settings; the secrets that they name are made in ``folder``."""
    return _load(path, folder, hub.build_parser, hub.load_config, environ)


def _load(
    path: Path,
    folder: Path,
    build_parser: Callable[[], argparse.ArgumentParser],
    load: Callable[..., Any],
    environ: dict[str, str],
) -> Any:
    here = folder / path.name
    here.write_text(with_secrets(path.read_text(), folder))
    return load(build_parser().parse_args(["--config", str(here)]), environ)


def with_secrets(text: str, folder: Path, content: str = "secret\n") -> str:
    """Return settings whose files of secrets are in ``folder``, made where they are missing."""

    def moved(found: re.Match[str]) -> str:
        path = folder / Path(found[2]).name
        if not path.exists():
            path.write_text(content)
            path.chmod(0o640)
        return f'{found[1]} = "{path}"'

    return re.sub(r'(?m)^(\w+_file) = "(.+)"', moved, text)


def commented(path: Path) -> list[str]:
    """Return the names of settings that are there behind a #."""
    return re.findall(r"(?m)^# ?(\w+) = ", path.read_text())


def names(kind: type) -> set[str]:
    """Return the names of all settings of ``DaemonConfig`` or ``HubConfig``."""
    return {each.name for each in dataclasses.fields(kind)}
