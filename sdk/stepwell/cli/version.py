"""`stepwell version`."""

import argparse

from stepwell.cli.errors import OK
from stepwell.cli.options import add_json
from stepwell_wire import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    if options.json:
        print(f'{{"version": "{__version__}"}}')
    else:
        print(f"stepwell {__version__}")
    return OK
