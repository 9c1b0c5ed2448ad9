"""`stepwell run -- CMD`: sets the environment, starts a daemon if needed, and becomes the command.

The command finds our module `wandb` before any other, see `stepwell.wandb_compat`.

It becomes the command (exec) instead of starting it: this keeps the process id, and signals and
the exit code need no forwarding.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from stepwell import wandb_compat
from stepwell._spawn import daemon_answers, is_forbidden
from stepwell.cli import daemon_process, shadowing
from stepwell.cli.errors import USAGE, CommandError
from stepwell.cli.options import Places, add_data, add_socket, places
from stepwell_wire.commands import command_text
from stepwell_wire.lock_notes import has_other_data, other_data_text
from stepwell_wire.places import DATA_VARIABLE, SOCKET_VARIABLE

_COMMAND_MISSING = 127
_COMMAND_REFUSED = 126


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_socket(parser)
    parser.add_argument("--no-daemon", action="store_true", help="start no personal daemon")
    parser.add_argument("--project", help="default project of the runs (STEPWELL_PROJECT)")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="keep all rows in journals; `stepwell sync` sends them (STEPWELL_MODE)",
    )
    parser.add_argument(
        "--keep-wandb", action="store_true", help="do not replace `import wandb` in the command"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD …")


def run(options: argparse.Namespace) -> int:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise CommandError(
            "no command; expected, for example, `stepwell run -- python train.py`", USAGE
        )
    where = places(options)
    environ = _environment(options, where)
    stays_alone = options.no_daemon or options.offline or is_forbidden(environ)
    program = shutil.which(words[0], path=environ.get("PATH"))
    if program is None and os.sep in words[0] and os.path.exists(words[0]):
        raise CommandError(
            f"{words[0]}: no permission to execute this file{_script_hint(words)}", _COMMAND_REFUSED
        )
    if program is None:
        raise CommandError(f"{words[0]}: no such command{_script_hint(words)}", _COMMAND_MISSING)
    if not options.keep_wandb:
        _warn_shadowed(Path(program), words)
    if not options.offline:
        _warn_other_data(options, where)
    if not stays_alone and (reason := daemon_process.ensure_personal(where)):
        if where.is_guessed:
            environ.pop(DATA_VARIABLE, None)  # Its own attempt must not take it as named.
        # The command also runs if this fails: training comes first.
        print(
            f"stepwell: no daemon: {reason}; logged rows stay in {where.journals}: "
            "`stepwell sync` sends them",
            file=sys.stderr,
        )
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(words[0], words, environ)
    except OSError as error:
        raise CommandError(f"{words[0]}: {error.strerror}", _COMMAND_REFUSED) from error


def _warn_other_data(options: argparse.Namespace, where: Places) -> None:
    """Print that the named data folder has no effect, if the usual daemon has another one."""
    is_named = where.data_named or where.data_variable
    if options.socket is not None or os.environ.get(SOCKET_VARIABLE) or not is_named:
        return
    if daemon_answers(str(where.socket)) and has_other_data(where.socket, where.data):
        print(f"stepwell: {other_data_text(where.socket, where.data)}", file=sys.stderr)


def _script_hint(words: list[str]) -> str:
    """Return the remedy if the command is a Python script without its interpreter."""
    script = Path(words[0])
    if script.suffix != ".py" or not script.is_file():
        return ""
    return f"; run a script with its Python: {command_text('run', '--', 'python', *words)}"


def _environment(options: argparse.Namespace, where: Places) -> dict[str, str]:
    environ = where.environment()
    if options.project:
        environ["STEPWELL_PROJECT"] = options.project
    if options.offline:
        environ["STEPWELL_MODE"] = "offline"
    if options.no_daemon:
        environ["STEPWELL_NO_DAEMON"] = "1"
    if options.keep_wandb:
        wandb_compat.remove(environ)
    else:
        wandb_compat.put_in_front(environ)
    return environ


def _warn_shadowed(program: Path, words: list[str]) -> None:
    if (python := shadowing.ignoring_switch(program, words)) is not None:
        print(
            f"stepwell: {python} ignores PYTHONPATH, so its `import wandb` does not find "
            "stepwell; remove the switch, or call stepwell.install_as_wandb() first in the "
            "script",
            file=sys.stderr,
        )
    elif (found := shadowing.find_installed(program)) is not None:
        version = f" {found.version}" if found.version else ""
        print(
            f"stepwell: wandb{version} in {found.folder} is hidden by stepwell for "
            "this command; --keep-wandb keeps it",
            file=sys.stderr,
        )
