"""`stepwell sweep FILE`: creates a sweep; pauses, resumes, stops, cancels, changes, lists them."""

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.errors import OK, USAGE, CommandError
from stepwell.cli.hub_answers import check_project, hub_errors
from stepwell.cli.options import add_json
from stepwell.cli.text import json_text
from stepwell_wire.commands import command_text, shell_word

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_STATES: Final = {
    "pause": ("paused", "start no new trials until --resume"),
    "resume": ("running", "continue a paused sweep"),
    "stop": ("finished", "start no new trials; running trials continue to their end"),
    "cancel": ("canceled", "start no new trials; running trials are stopped"),
}
_PAGE: Final = 200
_COUNTED: Final = ("running", "waiting", "finished", "failed", "crashed", "stopped")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config",
        nargs="?",
        metavar="FILE",
        help="a YAML or JSON file of a new sweep; `ls` to list sweeps; or a sweep to change",
    )
    parser.add_argument("-p", "--project", help="the project; default: the project in the file")
    parser.add_argument(
        "-e", "--entity", help="no effect; accepted for scripts that use wandb's commands"
    )
    parser.add_argument("--name", help="the name of the sweep; default: the name in the file")
    ways = parser.add_mutually_exclusive_group()
    for name, (_, what) in _STATES.items():
        ways.add_argument(f"--{name}", action="store_true", help=what)
    ways.add_argument(
        "--update",
        metavar="SWEEP",
        help="change SWEEP to name, description, run_cap and early_terminate of FILE",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    if not options.config:
        raise CommandError(_missing_argument(options), USAGE)
    with hub_errors():
        for name, (state, _) in _STATES.items():
            if getattr(options, name):
                return _change(options, {"state": state})
        if options.update:
            return _update(options)
        if options.config == "ls":
            return _list(options)
        return _create(options)


def _missing_argument(options: argparse.Namespace) -> str:
    for name in _STATES:
        if getattr(options, name):
            return (
                "no sweep given; expected, for example, "
                f"{command_text('sweep', f'--{name}', 'ID')}; `stepwell sweep ls` prints the ids"
            )
    return (
        "no file given; expected, for example, `stepwell sweep sweep.yaml`; `stepwell sweep ls` "
        "lists sweeps"
    )


def _create(options: argparse.Namespace) -> int:
    from stepwell._sweeps.calls import create_sweep
    from stepwell._sweeps.macros import needs_function

    made = create_sweep(options.config, project=options.project, name=options.name)
    if options.json:
        print(json_text(made, indent=None))
        return OK
    print(made["id"])
    print(f"Sweep URL: {made['url']}", file=sys.stderr)
    how = f"stepwell agent {shell_word(made['id'])}"
    if needs_function(made["config"]):
        how = (
            f"stepwell.agent({made['id']!r}, function), in a script; for agents with a command, "
            "make a sweep with `program: FILE`"
        )
    print(f"Run agents with: {how}", file=sys.stderr)
    return OK


def _change(options: argparse.Namespace, change: Mapping[str, Any]) -> int:
    from stepwell._hub import find_hub
    from stepwell._sweeps.calls import get_sweep

    hub = find_hub()
    found = get_sweep(hub, options.config)
    _print(hub, hub.call("PATCH", f"/sweeps/{found['id']}", change), is_json=options.json)
    return OK


def _update(options: argparse.Namespace) -> int:
    from stepwell._hub import find_hub
    from stepwell._sweeps.calls import get_sweep, read_sweep_config

    config, _, _ = read_sweep_config(options.config)
    hub = find_hub()
    found = get_sweep(hub, options.update)
    fields = {name: config[name] for name in ("run_cap", "early_terminate") if name in config}
    change: dict[str, Any] = {"config": fields} if fields else {}
    if name := options.name or config.get("name"):
        change["name"] = name
    if "description" in config:
        change["description"] = config["description"]
    if not change:
        raise CommandError(
            f"{options.config}: no name, description, run_cap or early_terminate in this file; "
            "other fields cannot be changed; create a new sweep",
            USAGE,
        )
    _print(hub, hub.call("PATCH", f"/sweeps/{found['id']}", change), is_json=options.json)
    return OK


def _list(options: argparse.Namespace) -> int:
    from stepwell._hub import find_hub

    hub = find_hub(may_start=False)
    cursor = None
    found = 0
    while True:
        page = hub.get("/sweeps", project=options.project, limit=_PAGE, cursor=cursor)
        found += len(page["sweeps"])
        for sweep in page["sweeps"]:
            _print(hub, sweep, is_json=options.json)
        cursor = page.get("next_cursor")
        if not cursor:
            break
    if not found:
        if options.project is not None:
            check_project(hub, options.project)
        where = "" if options.project is None else f" in project {options.project}"
        print(f"stepwell: no sweeps yet{where}", file=sys.stderr)
    return OK


def _print(hub: "Hub", sweep: Mapping[str, Any], *, is_json: bool) -> None:
    if is_json:
        from stepwell._page import sweep_address

        address = sweep_address(hub.url, sweep["project"], sweep["id"])
        print(json_text({**sweep, "url": address}, indent=None))
        return
    counts = sweep.get("counts") or {}
    said = ", ".join(f"{counts[name]} {name}" for name in _COUNTED if counts.get(name))
    best = sweep.get("best")
    metric = (sweep.get("metric") or {}).get("name", "")
    value = f"; best {metric} {best['value']:g} (run {best['run_id']})" if best else ""
    if metric and not best and counts.get("finished"):
        value = f"; no value of {metric}"
    if deleted := sweep.get("deleted_runs"):
        value += f"; {deleted} {'run' if deleted == 1 else 'runs'} deleted"
    name = f" {sweep['name']}" if sweep.get("name") else ""
    print(f"{sweep['project']}/{sweep['id']}{name}: {sweep['state']}; {said or 'no trials'}{value}")
