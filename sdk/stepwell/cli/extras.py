"""Finds modules that the base installation lacks, without importing them."""

from importlib.util import find_spec
from typing import Final

from stepwell.cli.errors import CommandError
from stepwell_wire.installation import install_command
from stepwell_wire.interpreter import NoPythonError, helper_command

_DAEMON: Final = ("numpy", "lz4", "prometheus_client", "psutil")
_HUB: Final = ("starlette", "uvicorn", "httptools", "msgspec", "sqlalchemy", "alembic")
_STORE: Final = ("numpy", "chdb")


def missing_modules(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if find_spec(name) is None]


def missing_for_daemon() -> list[str]:
    """Return the modules that a daemon with an embedded store needs and does not find."""
    return missing_modules(("stepwell_daemon", *_DAEMON, "chdb"))


def require_daemon() -> None:
    _require(missing_for_daemon())


def missing_for_hub() -> list[str]:
    """Return the modules that a hub needs and does not find."""
    return missing_modules(("stepwell_hub", "stepwell_store", *_HUB))


def require_hub() -> None:
    _require(missing_for_hub())


def require_store() -> None:
    _require(missing_modules(("stepwell_store", *_STORE)))


def require_numpy() -> None:
    _require(missing_modules(("numpy",)))


def _require(missing: list[str]) -> None:
    if missing:
        raise CommandError(
            f"missing packages: {', '.join(missing)}; install them with {install_command('all')}"
        )


def module_command(module: str) -> list[str]:
    """Return the words that run one of our modules as a program.

    Raises:
        CommandError: This application has no Python to run it.
    """
    try:
        return helper_command(module)
    except NoPythonError as error:
        raise CommandError(str(error)) from error
