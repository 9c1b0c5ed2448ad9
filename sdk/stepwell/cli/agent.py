"""`stepwell agent SWEEP`: runs trials of a sweep as processes, until it has no more."""

import argparse

from stepwell.cli.hub_answers import hub_errors
from stepwell.cli.options import count, seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", metavar="SWEEP", help="ID, PROJECT/ID or ENTITY/PROJECT/ID")
    parser.add_argument(
        "--count", type=count, metavar="N", help="run at most N trials; default: all"
    )
    parser.add_argument("-p", "--project", help="the sweep's project, if SWEEP does not contain it")
    parser.add_argument(
        "-e", "--entity", help="no effect; accepted for scripts that use wandb's commands"
    )
    parser.add_argument(
        "-f",
        "--forward-signals",
        action="store_true",
        help="no effect: the trial always gets Ctrl-C",
    )
    parser.add_argument(
        "--term-timeout",
        type=seconds,
        metavar="SECONDS",
        help="kill a trial this long after it was asked to stop; default 30",
    )

    parser.add_argument(
        "--keep-wandb", action="store_true", help="do not replace `import wandb` in the programs"
    )


def run(options: argparse.Namespace) -> int:
    from stepwell._sweeps.calls import run_agent

    with hub_errors():
        return run_agent(
            options.sweep,
            project=options.project,
            count=options.count,
            term_timeout=options.term_timeout,
            keeps_wandb=options.keep_wandb,
        )
