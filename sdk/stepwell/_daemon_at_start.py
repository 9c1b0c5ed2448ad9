"""The daemon at a run's start: it runs, it is started, or a line says that none will start."""

import os
from pathlib import Path

from stepwell import _spawn
from stepwell._sender import Sender
from stepwell._settings import Settings
from stepwell._terminal import OF_ALL, Voice
from stepwell_wire.commands import command_text
from stepwell_wire.lock_notes import has_other_data, other_data_text
from stepwell_wire.page_file import noted_page
from stepwell_wire.places import (
    DATA_VARIABLE,
    SOCKET_VARIABLE,
    default_data_dir,
    default_socket,
)


def ensure_daemon(
    settings: Settings,
    sender: Sender,
    voice: Voice,
    journal_folder: Path | None,
    *,
    called: str,
) -> tuple[bool, str]:
    """Let the sender start a personal daemon if none listens, or say where the data stays.

    Args:
        called: the name of the run in a line.

    Returns:
        Whether a daemon answers, and the address of the page that it has noted; "" where that is
        not known.
    """
    look = _spawn.look_at(settings.socket)
    if look.obstacle and not look.answers:
        return False, ""  # The sender says it: the daemon may end before that.
    if look.answers:
        _warn_other_data(settings, voice)
    page = noted_page(Path(settings.socket)) if look.answers else ""
    why = _why_no_start(settings)
    if not why:
        # The sender's thread starts it: a fork takes milliseconds.
        sender.personal.allow(expected=not look.answers)
    elif not look.answers:
        folder = settings.journals_dir if journal_folder is None else journal_folder.parent
        voice.say(
            f"{called}: {why} {settings.socket}; logged rows stay in {journal_folder} until "
            f"a daemon runs or {command_text('sync', folder)} sends them"
        )
    return look.answers, page


def _warn_other_data(settings: Settings, voice: Voice) -> None:
    """Say that the user's data folder has no effect, because the usual daemon has another one.

    `stepwell run` sets both variables, and says it itself.
    """
    if os.environ.get(SOCKET_VARIABLE) or settings.socket != str(default_socket()):
        return
    others = {name: value for name, value in os.environ.items() if name != DATA_VARIABLE}
    socket, data = Path(settings.socket), settings.data_dir
    if data != default_data_dir(others) and has_other_data(socket, data):
        voice.warn_once(OF_ALL + "other data", f"init: {other_data_text(socket, data)}")


def _why_no_start(settings: Settings) -> str:
    """Return the beginning of the line on why no daemon is started, "" if one may start."""
    if settings.no_daemon:
        return "no daemon on"
    if not _spawn.can_start_daemon():
        return "no daemon (and none installed) on"
    no_python = _spawn.why_no_python()
    return f"{no_python}. No daemon on" if no_python else ""
