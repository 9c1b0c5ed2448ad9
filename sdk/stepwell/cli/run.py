"""`stepwell run -- CMD`: sets the environment, sees to a daemon, and becomes the command.

Becoming it (exec) rather than starting it keeps its process id, and passes signals and the exit
code through without anything in between.
"""

import argparse
import os
import shutil
import sys

from stepwell.cli import daemon_process
from stepwell.cli.errors import USAGE, CommandError
from stepwell.cli.options import Places, add_data, add_socket, places

_COMMAND_MISSING = 127
_COMMAND_REFUSED = 126


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_socket(parser)
    parser.add_argument("--no-daemon", action="store_true", help="start no personal daemon")
    parser.add_argument("--project", help="the project of runs that name none (STEPWELL_PROJECT)")
    parser.add_argument(
        "--offline", action="store_true", help="keep everything in journals (STEPWELL_MODE)"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD …")


def run(options: argparse.Namespace) -> int:
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise CommandError("nothing to run; e.g. `stepwell run -- python train.py`", USAGE)
    where = places(options)
    environ = _environment(options, where)
    stays_alone = options.no_daemon or options.offline or environ.get("STEPWELL_NO_DAEMON")
    if shutil.which(words[0], path=environ.get("PATH")) is None:
        raise CommandError(f"{words[0]}: no such command", _COMMAND_MISSING)
    if not stays_alone and (reason := daemon_process.see_to_personal(where)):
        # The command runs whether or not that works: training comes first.
        print(
            f"stepwell: no daemon, {reason}; what is logged stays in {where.journals}: "
            "`stepwell sync` sends it",
            file=sys.stderr,
        )
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(words[0], words, environ)
    except OSError as error:
        raise CommandError(f"{words[0]}: {error.strerror}", _COMMAND_REFUSED) from error


def _environment(options: argparse.Namespace, where: Places) -> dict[str, str]:
    environ = where.environment()
    if options.project:
        environ["STEPWELL_PROJECT"] = options.project
    if options.offline:
        environ["STEPWELL_MODE"] = "offline"
    if options.no_daemon:
        environ["STEPWELL_NO_DAEMON"] = "1"
    return environ
