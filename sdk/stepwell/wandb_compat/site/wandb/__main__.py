"""The command `wandb` inside `stepwell run`: the subcommands that scripts call. No prompts."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import stepwell
from stepwell.cli.wandb_paths import NoRunFolderError, journals_of
from stepwell.wandb_compat import VERSION
from stepwell.wandb_compat._environment import defaults, settings_files, write_setting

_MODES: Final = {"offline": "offline", "online": "online", "disabled": "disabled", "enabled": None}
_LATER: Final = ("controller", "job", "launch", "pull", "restore")
_COMMANDS: Final = {
    "login": "accepted; no login is needed",
    "logout": "accepted",
    "init": "remembers project and mode for later runs of this folder",
    "offline": "later runs of this folder stay in journals, until `wandb online`",
    "online": "later runs of this folder go to the daemon",
    "disabled": "later runs of this folder are not recorded, until `wandb enabled`",
    "enabled": "undoes `wandb disabled`",
    "status": "prints the variables and settings files that have an effect",
    "sync": "sends the journals of offline or killed runs, as `stepwell sync`",
    "sweep": "creates, pauses, resumes, stops or cancels a sweep, as `stepwell sweep`",
    "agent": "runs trials of a sweep, as `stepwell agent`",
    "artifact": "lists, downloads and logs artifacts, as `stepwell artifact`",
    "verify": "checks everything, as `stepwell doctor`",
    "version": "the version",
}


_PASSED_ON: Final = ("sweep", "agent", "artifact")
"""Commands of stepwell with the same arguments; they print their own help."""
_OTHER_RUN: Final = ("--id", "--project", "--job-type", "--replace-tags")
_CHOICES: Final = ("--include-globs", "--exclude-globs")
_IDLE_SWITCHES: Final = (
    ("-v", "--verbose"),
    ("--yes",),
    ("--sync-all",),
    ("--include-offline",),
    ("--no-include-offline",),
    ("--include-online", "--no-skip-online"),
    ("--no-include-online", "--skip-online"),
    ("--include-synced", "--no-skip-synced"),
    ("--no-include-synced", "--skip-synced"),
    ("--mark-synced",),
    ("--no-mark-synced",),
    ("--clean",),
    ("--clean-force",),
    ("--append",),
    ("--view",),
    ("--skip-console",),
    ("--sync-tensorboard",),
    ("--no-sync-tensorboard",),
)
"""Of `wandb sync`: waiting journals are sent without a question, and deleted after that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 2 for one that does not exist."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else "--help"
    if name in ("--help", "-h", "help"):
        width = max(map(len, _COMMANDS))
        lines = (f"  {each:<{width}}  {what}" for each, what in _COMMANDS.items())
        print("stepwell's command wandb\n\n" + "\n".join(lines))
    elif name in ("version", "--version"):
        print(f"wandb, version {VERSION} (stepwell {stepwell.__version__})")
    elif name in _PASSED_ON:
        return _with_project(name, _without_entity(words[1:]) if name == "artifact" else words[1:])
    elif name in _LATER:
        return _complain(f"`wandb {name}` is not available yet, only in a later release")
    elif name in _COMMANDS:
        return _run(name, _parser(name).parse_args(words[1:]))
    else:
        return _complain(f"{name!r} is not a command; `wandb --help` lists them")
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command's arguments: those of Weights & Biases' command."""
    parser = argparse.ArgumentParser(
        prog=f"wandb {name}", description=_COMMANDS[name], allow_abbrev=False
    )
    match name:
        case "login":
            parser.add_argument("key", nargs="*", help="no effect: stepwell has no accounts")
            for switch in ("--cloud", "--relogin", "--verify", "--no-verify", "--anonymously"):
                parser.add_argument(switch, action="store_true", help="no effect")
            parser.add_argument("--host", "--base-url", help="no effect")
        case "init":
            parser.add_argument("-p", "--project", help="the project of later runs of this folder")
            parser.add_argument("-e", "--entity", help="no effect: stepwell has no accounts")
            parser.add_argument(
                "-m", "--mode", choices=("online", "offline", "disabled"), help="of later runs"
            )
            parser.add_argument(
                "--reset", action="store_true", help="first forget project and mode of this folder"
            )
        case "enabled" | "disabled":
            parser.add_argument("--service", action="store_true", help="no effect")
        case "status":
            for switch in ("--settings", "--no-settings"):
                parser.add_argument(switch, action="store_true", help="no effect")
        case "verify":
            parser.add_argument("--host", help="no effect")
        case "sync":
            parser.add_argument(
                "paths",
                nargs="*",
                metavar="PATH",
                help="a run's folder such as wandb/offline-run-DATE-ID, the folder wandb for "
                "all journals, or a folder of journals; default: all journals",
            )
            parser.add_argument("-e", "--entity", help="no effect: stepwell has no accounts")
            for flag in ("-n", "--show", "--clean-old-hours"):
                parser.add_argument(flag, metavar="COUNT", help="no effect")
            parser.add_argument(
                "--dry-run", action="store_true", help="print what would be sent, and send nothing"
            )
            for flags in (
                ("--id",),
                ("-p", "--project"),
                ("--job-type", "--job_type"),
                ("--replace-tags",),
            ):
                parser.add_argument(
                    *flags, help="not available: a journal is sent as the run that it is of"
                )
            for flag in _CHOICES:
                parser.add_argument(flag, help="not available: name the runs' folders")
            for flags in _IDLE_SWITCHES:
                parser.add_argument(*flags, action="store_true", help="no effect")
    return parser


def _run(name: str, options: argparse.Namespace) -> int:
    if name in ("login", "logout"):
        print(f"wandb {name}: {_COMMANDS[name]}")
    elif name == "init":
        _init(options)
    elif name in _MODES:
        _remember_mode(name)
    elif name == "status":
        _print_status()
    elif name == "verify":
        return _become("doctor", ())
    else:
        return _sync(options)
    return 0


def _init(options: argparse.Namespace) -> None:
    """Remember project and mode in the folder's settings file."""
    path = settings_files()[-1]
    if options.reset:
        for name in ("project", "mode"):
            write_setting(path, name, None)
    given = [(each, getattr(options, each)) for each in ("project", "mode")]
    for name, value in given:
        if value is not None:
            write_setting(path, name, value)
            print(f"wandb init: {name} is {value} for later runs of this folder ({path})")
    if not any(value for _, value in given):
        print(f"wandb init: {_COMMANDS['init']}")


def _sync(options: argparse.Namespace) -> int:
    """Send the journals of the named runs, or all."""
    for flag in (*_OTHER_RUN, *_CHOICES):
        if getattr(options, flag.removeprefix("--").replace("-", "_")) is not None:
            why = "a journal is sent as the run that it is of"
            if flag in _CHOICES:
                why = "name the folders of the runs instead"
            return _complain(f"sync: {flag} is not available: {why}; nothing was sent")
    try:
        found = journals_of(options.paths)
    except NoRunFolderError as error:
        return _complain(
            f"sync: {error}. `wandb sync` without a path sends all journals that wait; nothing "
            "was sent"
        )
    for run_id in found.missing:
        print(
            f"wandb sync: no journal of run {run_id} is here: it was sent before, or STEPWELL_DIR "
            "names another folder now",
            file=sys.stderr,
        )
    if options.dry_run:
        of_all = "nothing" if options.paths else "all journals that wait"
        print("would send: " + (", ".join(found.preview) or of_all))
    if found.others:
        print(f"wandb sync: {_others_text(found.others)}", file=sys.stderr)
    if options.dry_run or (options.paths and not found.paths and not found.is_all):
        return 0
    return _become("sync", found.paths)


def _others_text(others: Sequence[Path]) -> str:
    """Return a line about journals that no named folder is of."""
    count = len(others)
    wait, them = ("waits", "it") if count == 1 else ("wait", "them")
    folders = ", ".join(dict.fromkeys(str(each.parent) for each in others))
    return (
        f"{count} more journal{'s' if count > 1 else ''} {wait} in {folders}: `wandb sync` without "
        f"a path sends {them}"
    )


def _print_status() -> None:
    """Say what the variables and files set, and where runs go."""
    from stepwell._spawn import daemon_answers
    from stepwell_wire.places import default_socket

    print(f"wandb {VERSION}, provided by stepwell {stepwell.__version__}")
    found = list(defaults())
    for default in found:
        print(f"{default.name} = {default.value}  ({default.source})")
    if not found:
        print("no WANDB_ variable and no settings file has an effect")
    path = default_socket()
    is_there = daemon_answers(str(path))
    print(f"{'a daemon answers' if is_there else 'no daemon answers yet'} on {path}")


def _remember_mode(name: str) -> None:
    path = settings_files()[-1]
    write_setting(path, "mode", _MODES[name])
    print(f"wandb {name}: {_COMMANDS[name]} ({path})")


def _become(command: str, words: Sequence[str]) -> int:
    """Go on as a command of stepwell; never returns."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "stepwell", command, *words])


def _without_entity(words: Sequence[str]) -> list[str]:
    """Return the words of `wandb artifact`, whose `ls` names ENTITY/PROJECT."""
    if words[:1] != ["ls"]:
        return list(words)
    return [words[0], *(each if each[0] == "-" else each.split("/")[-1] for each in words[1:])]


def _with_project(command: str, words: Sequence[str]) -> int:
    """Go on as a command of stepwell, with the project that `WANDB_PROJECT` names."""
    for default in defaults():
        if default.name == "project":
            os.environ.setdefault("STEPWELL_PROJECT", str(default.value))
    return _become(command, words)


def _complain(text: str) -> int:
    print(f"wandb (stepwell): {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
