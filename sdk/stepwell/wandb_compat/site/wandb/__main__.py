"""The command `wandb` inside `stepwell run`: the subcommands that scripts call. No prompts."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import stepwell
from stepwell.wandb_compat import VERSION
from stepwell.wandb_compat._environment import defaults, settings_files, write_setting

_MODES: Final = {"offline": "offline", "online": "online", "disabled": "disabled", "enabled": None}
_LATER: Final = ("controller", "job", "launch", "pull", "restore")
_COMMANDS: Final = {
    "login": "accepted; no login is needed",
    "logout": "accepted",
    "init": "accepted; `wandb.init(project=…)` or WANDB_PROJECT names the project",
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
    elif name in ("login", "logout", "init"):
        print(f"wandb {name}: {_COMMANDS[name]}")
    elif name in _MODES:
        _remember_mode(name)
    elif name == "status":
        _print_status()
    elif name in ("sweep", "agent"):
        return _with_project(name, words[1:])
    elif name == "artifact":
        return _with_project(name, _without_entity(words[1:]))
    elif name in ("sync", "verify"):
        return _become("sync" if name == "sync" else "doctor", words[1:])
    elif name in _LATER:
        return _complain(f"`wandb {name}` is not available yet, only in a later release")
    else:
        return _complain(f"{name!r} is not a command; `wandb --help` lists them")
    return 0


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
    folders = [word for word in words if not word.startswith("-")]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "stepwell", command, *folders])


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
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "stepwell", command, *words])


def _complain(text: str) -> int:
    print(f"wandb (stepwell): {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
