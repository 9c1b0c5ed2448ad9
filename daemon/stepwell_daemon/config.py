"""The daemon's configuration: a TOML file, then STEPWELLD_* variables, then flags."""

import argparse
import dataclasses
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.errors import ConfigError
from stepwell_wire.places import check_socket_path, default_data_dir, default_socket

VARIABLE_PREFIX: Final = "STEPWELLD_"


def _setting(default: Any, text: str, *, reloads: bool = False) -> Any:
    made = {"default_factory": default} if callable(default) else {"default": default}
    return field(**made, metadata={"help": text, "reloads": reloads})


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """Every setting of the daemon; the help texts are the documentation."""

    socket: Path = _setting(default_socket, "unix socket that writers and tools connect to")
    data: Path = _setting(default_data_dir, "folder of spool and embedded store")
    socket_mode: str = _setting("0660", "permissions of the socket, octal")
    host: str = _setting("127.0.0.1", "address of /metrics, /healthz, /readyz and /status.json")
    metrics_port: int = _setting(9464, "port of these; 0 takes any free one, -1 opens none")
    log_level: str = _setting("info", "debug, info, warning or error", reloads=True)
    log_file: str = _setting("", "file to log to; empty logs to standard error")
    sample_seconds: float = _setting(
        5.0, "how often the host is sampled; 0 samples never", reloads=True
    )
    spool_segment_bytes: int = _setting(64 * 2**20, "size of a spool segment")
    spool_bytes_max: int = _setting(8 * 2**30, "limit of the spool; beyond it writers wait")
    spool_keep_bytes: int = _setting(
        256 * 2**20, "forwarded segments kept for safety", reloads=True
    )
    spool_keep_seconds: float = _setting(600.0, "how long they are kept at most", reloads=True)
    block_points: int = _setting(400_000, "points in one insert at most", reloads=True)
    linger_seconds_min: float = _setting(0.05, "shortest wait for a block to fill", reloads=True)
    linger_seconds_max: float = _setting(1.0, "longest wait for a block to fill", reloads=True)
    engine_memory_bytes: int = _setting(2 * 2**30, "memory limit of the embedded engine")
    drain_seconds: float = _setting(10.0, "how long a stop waits for the store", reloads=True)
    idle_exit_seconds: float = _setting(
        0.0, "end after so long without a writer, with all forwarded; 0 never ends"
    )
    recover_seconds: float = _setting(
        10.0, "how often journals of dead writers are looked for", reloads=True
    )
    writers_max: int = _setting(4096, "connections at one time")
    retention_run_days: float = _setting(
        0.0, "runs that ended earlier are deleted; 0 keeps them", reloads=True
    )
    retention_node_days: float = _setting(
        90.0, "node telemetry older than this is deleted; 0 keeps it", reloads=True
    )
    retention_console_days: float = _setting(
        0.0, "console lines older than this are deleted; 0 keeps them", reloads=True
    )

    def __post_init__(self) -> None:
        problems = []
        try:
            check_socket_path(self.socket)
        except ValueError as error:
            problems.append(str(error))
        if self.log_level not in ("debug", "info", "warning", "error"):
            problems.append(f"log_level: expected debug, info, warning or error: {self.log_level}")
        try:
            int(self.socket_mode, 8)
        except ValueError:
            problems.append(
                f"socket_mode: expected an octal number such as 0660: {self.socket_mode}"
            )
        if not -1 <= self.metrics_port <= 65_535:
            problems.append(f"metrics_port: expected -1 to 65535: {self.metrics_port}")
        if self.spool_segment_bytes < 2**20:
            problems.append(f"spool_segment_bytes: at least 1048576: {self.spool_segment_bytes}")
        if self.spool_bytes_max < 2 * self.spool_segment_bytes:
            problems.append("spool_bytes_max: at least two segments (spool_segment_bytes)")
        if self.linger_seconds_max < self.linger_seconds_min:
            problems.append("linger_seconds_max: not below linger_seconds_min")
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float) and not value >= 0:
                problems.append(f"{each.name}: expected 0 or more: {value}")
        if problems:
            raise ConfigError("; ".join(problems))


def _parse(name: str, text: str, where: str) -> Any:
    kind = _FIELDS[name].type
    try:
        if kind is Path:
            return Path(text).expanduser().absolute()
        return kind(text) if callable(kind) else text
    except ValueError as error:
        expected = getattr(kind, "__name__", str(kind))
        raise ConfigError(f"{where}: {name}: expected {expected}, not {text!r}") from error


def _check_name(name: str, where: str) -> None:
    if name in _FIELDS:
        return
    near = difflib.get_close_matches(name, _FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_FIELDS)}"
    raise ConfigError(f"{where}: unknown setting {name}; {hint}")


def read_file(path: Path) -> dict[str, Any]:
    """Return the settings in the TOML file ``path``, checked by name and type."""
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from error
    settings: dict[str, Any] = {}
    for name, value in document.items():
        _check_name(name, str(path))
        kind = _FIELDS[name].type
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if kind is Path and isinstance(value, str):
            value = (path.parent / Path(value).expanduser()).absolute()
        if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
            expected = getattr(kind, "__name__", str(kind))
            raise ConfigError(f"{path}: {name}: expected {expected}, not {value!r}")
        settings[name] = value
    return settings


def read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    settings = {}
    for variable, text in environ.items():
        if variable.startswith(VARIABLE_PREFIX):
            name = variable.removeprefix(VARIABLE_PREFIX).lower()
            _check_name(name, variable)
            settings[name] = _parse(name, text, variable)
    return settings


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="stepwelld", description="The node's daemon: receives, spools, samples, forwards."
    )
    made.add_argument("--config", type=Path, metavar="FILE", help="TOML file of these settings")
    made.add_argument("--check-config", action="store_true", help="print the settings and end")
    for name, each in _FIELDS.items():
        flag = "--idle-exit" if name == "idle_exit_seconds" else f"--{name.replace('_', '-')}"
        default = each.default if each.default is not dataclasses.MISSING else "see docs"
        text = f"{each.metadata['help']} (default {default})"
        made.add_argument(flag, dest=name, help=text.replace("%", "%%"))
    return made


def load_config(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[DaemonConfig, bool]:
    """Return the configuration and whether only a check was asked for.

    Raises:
        ConfigError: One line that says what, where and what was expected.
    """
    options = vars(parser().parse_args(arguments))
    path, check = options.pop("config"), options.pop("check_config")
    settings = read_file(path) if path else {}
    settings |= read_environment(environ)
    for name, text in options.items():
        if text is not None:
            settings[name] = _parse(name, text, f"--{name.replace('_', '-')}")
    return DaemonConfig(**settings), check


def render(config: DaemonConfig) -> str:
    """Return ``config`` as a TOML file with a comment on each setting."""
    lines = []
    for name, each in _FIELDS.items():
        value = getattr(config, name)
        shown = f'"{value}"' if isinstance(value, str | Path) else str(value)
        lines.append(f"# {each.metadata['help']}\n{name} = {shown}")
    return "\n".join(lines)


_FIELDS: Final[dict[str, Any]] = {each.name: each for each in dataclasses.fields(DaemonConfig)}
RELOADS: Final = frozenset(name for name, each in _FIELDS.items() if each.metadata["reloads"])
