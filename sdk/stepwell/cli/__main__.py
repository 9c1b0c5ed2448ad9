"""``stepwell``: finds the command's module, lets it declare its arguments, and runs it.

    module.add_arguments(parser)    declares its arguments
    module.run(options) -> int      does the work and returns the exit code

Starting costs argparse and the one module: `stepwell version` loads no numpy and no grpc.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from stepwell.cli.errors import INTERRUPTED, OK, PIPE_CLOSED, USAGE, CommandError, EndedBySignal
from stepwell_wire.arguments import OneLineParser
from stepwell_wire.commands import command_text

COMMANDS: Final = {
    "up": "start a daemon with an embedded store, in the foreground",
    "down": "stop the daemon of this socket and wait until it has ended",
    "open": "open the page of a run or a project in a browser, logged in",
    "hub": "run the hub (page and HTTP API), for example over ClickHouse servers",
    "daemon": "run the daemon with the daemon's own options",
    "run": "run a command in which `import wandb` imports stepwell",
    "sweep": "create a sweep from a YAML or JSON file; pause, resume, stop, cancel, list sweeps",
    "agent": "run trials of a sweep, one after the other",
    "artifact": "list, download, verify, log and delete artifacts",
    "report": "list reports, save a file as a report, export a report as HTML",
    "runs": "list runs, or groups of runs",
    "show": "show one run: config, summary, metrics, gaps, console",
    "export": "write the history of a run or a project to a file",
    "sql": "query the store with SQL, read-only",
    "sync": "send journals of offline runs and of killed processes",
    "status": "show the state of the daemon, its socket, page and addresses",
    "top": "show writers, rates and spool, live",
    "spool": "verify, dump or repair a daemon's spool; replay dead letters",
    "journal": "verify, dump or repair the journals of writers",
    "doctor": "check daemon, store, journals and environment, print remedies",
    "backup": "copy a data folder, also while its daemon runs",
    "rm": "delete runs or projects permanently",
    "version": "print the version",
}
_RAW_ARGUMENTS: Final = {"daemon", "hub"}  # Everything after the name belongs to another program.
_FILE_NAMES: Final = {"command", "config", "file", "output", "paths", "root"}
"""Arguments that may have any bytes; arguments of type Path are not checked."""
_ELSEWHERE: Final = {
    "offline": 'use `stepwell run --offline -- CMD` or `stepwell.init(mode="offline")`; '
    "`stepwell run -- wandb offline` sets it for a folder",
    "online": "online is the default; `stepwell run -- wandb online` undoes `wandb offline`",
    "login": "no login is needed",
    "init": "`stepwell.init(project=…)` names the project",
    "import": "stepwell cannot read files of other trackers, such as *.wandb, mlruns and "
    "TensorBoard's event files",
}
"""Commands that other trackers have, and that are not needed or not possible here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except CommandError as error:
        print(f"stepwell: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except EndedBySignal as ended:
        os.kill(os.getpid(), ended.number)  # Its action is the default again.
        raise
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe; the interpreter must not flush into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"stepwell: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    return code


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if not words or words[0] in ("-h", "--help"):
        print(_overview(), file=sys.stdout if words else sys.stderr)
        return OK if words else USAGE
    if words[0] in ("-V", "--version"):
        words[0] = "version"
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise CommandError(_unknown(name), USAGE)
    module = importlib.import_module(f"stepwell.cli.{name}")
    if name in _RAW_ARGUMENTS:
        return int(module.run(rest))
    parser = OneLineParser(
        prog=f"stepwell {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    options = _parsed(parser, rest)
    _check_is_text(options)
    return int(module.run(options))


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    try:
        return parser.parse_args(words)
    except SystemExit:
        sys.stdout.flush()  # For --help: a closed pipe is noticed here, not at exit.
        raise


def _check_is_text(options: argparse.Namespace) -> None:
    """Raise CommandError if an argument other than a file name is not UTF-8.

    Python decodes such bytes to lone surrogates, which no store and no hub accepts.
    """
    for name, value in vars(options).items():
        if name in _FILE_NAMES:
            continue
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and not _is_utf8(word):
                raise CommandError(
                    f"the argument {ascii(os.fsencode(word))[1:]} is not UTF-8; expected text in "
                    "UTF-8. Only names of files may have other bytes",
                    USAGE,
                )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: stepwell COMMAND …",
            "",
            *lines,
            "",
            "`stepwell COMMAND --help` lists its options.",
        ]
    )


def _unknown(name: str) -> str:
    import difflib

    if name in _ELSEWHERE:
        return f"{name!r} is not a command of stepwell; {_ELSEWHERE[name]}"
    nearest = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = (
        f"did you mean {command_text(nearest[0])}?" if nearest else "`stepwell --help` lists them"
    )
    return f"{name!r} is not a command; {hint}"


if __name__ == "__main__":
    sys.exit(main())
