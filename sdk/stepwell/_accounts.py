"""Calls of scripts that concern an account or a side process, and lines on the terminal."""

from typing import Any

from stepwell import _session
from stepwell._argument_names import checks_names
from stepwell._settings import Settings, read_settings
from stepwell._terminal import Voice

_voice = Voice()


class Setup:
    """The result of `setup`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


@checks_names
def login(
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: int | None = None,
    verify: bool = True,
    referrer: str | None = None,
    prompt: bool | None = None,
    anonymous: str | None = None,
) -> bool:
    """Return True: no login is needed. The key is not kept, and no prompt is shown."""
    return True


def setup(settings: Any = None) -> Setup:
    """Return the settings of a new run; those given hold for all later runs of this process."""
    if settings is not None:
        _session.shared_settings = settings
    return Setup(read_settings({}, shared=_session.shared_settings))


def teardown(exit_code: int | None = None) -> None:
    """Finish all runs of this process, and forget the settings of `setup`."""
    _session.shared_settings = None
    for run in list(_session.active):
        run.finish(exit_code=exit_code)


def require(requirement: Any = None, experiment: Any = None) -> None:
    """No effect: every feature is on."""


def ensure_configured() -> None:
    """No effect."""


def termsetup(settings: Any, logger: Any = None) -> None:
    _voice.silent = bool(getattr(settings, "silent", False))


def termlog(
    string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True
) -> None:
    """Print a line to the terminal; with ``repeat=False`` the same text once only."""
    if repeat:
        _voice.say(string)
    else:
        _voice.warn_once(string, string)


termwarn = termerror = termlog
