"""`stepwell agent SWEEP`: runs trials of a sweep as processes, until it has no more."""

import argparse

from stepwell.cli.hub_answers import hub_errors
from stepwell.cli.options import count, seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", metavar="SWEEP", help="ID, PROJECT/ID or ENTITY/PROJECT/ID")
    parser.add_argument(
        "--count", type=count, metavar="N", help="run N trials at most; default: all there are"
    )
    parser.add_argument("-p", "--project", help="the sweep's project, where SWEEP does not say it")
    parser.add_argument("-e", "--entity", help="taken for the sake of old scripts; no effect")
    parser.add_argument(
        "-f",
        "--forward-signals",
        action="store_true",
        help="taken for the sake of old scripts: Ctrl-C always goes on to the trial",
    )
    parser.add_argument(
        "--term-timeout",
        type=seconds,
        metavar="SECONDS",
        help="a trial that is to end is killed so long after; default 30",
    )

    parser.add_argument(
        "--keep-wandb", action="store_true", help="leave `import wandb` as it is in the programs"
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
