"""Options that several commands share: the places of socket and data."""

import argparse
import os
from pathlib import Path
from typing import Final, NamedTuple

from stepwell.cli.errors import USAGE, CommandError
from stepwell_wire.places import (
    DATA_VARIABLE,
    JOURNALS_VARIABLE,
    SOCKET_VARIABLE,
    SYSTEM_SOCKET,
    check_socket_path,
    default_data_dir,
    default_journals_dir,
    default_socket,
)

_SECONDS_MAX: Final = 1_000_000_000
_PORT_MAX: Final = 65_535


class Places(NamedTuple):
    """Places of socket and data for one command.

    Attributes:
        data_named: the user named the data folder, so no daemon's answer replaces it.
        socket_named: the socket is not the user's default one: the default data folder may belong
            to another daemon.
        data_variable: the environment names the data folder.
        config: the daemon's configuration, if the user named one.
        socket_option: the user named the socket on the command line.
        journals_named: the user named the folder of journals.
    """

    socket: Path
    data: Path
    journals: Path
    data_named: bool
    config: Path | None = None
    socket_named: bool = False
    data_variable: bool = False
    socket_option: bool = False
    journals_named: bool = False

    @property
    def is_guessed(self) -> bool:
        """Whether the data folder is only the default, while the socket may be another daemon's."""
        return self.socket_named and not (self.data_named or self.data_variable)

    def environment(self) -> dict[str, str]:
        """Return our environment with these places, for a child."""
        return {
            **os.environ,
            SOCKET_VARIABLE: str(self.socket),
            DATA_VARIABLE: str(self.data),
            JOURNALS_VARIABLE: str(self.journals),
        }


def count(text: str) -> int:
    """Return ``text`` as a number of 0 or more, for argparse."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {text!r}") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, not {text}")
    return number


def port(text: str) -> int:
    """Return ``text`` as a port, 0 for any free one, for argparse."""
    number = count(text)
    if number > _PORT_MAX:
        raise argparse.ArgumentTypeError(f"expected 0 to {_PORT_MAX}, not {text}")
    return number


def seconds(text: str) -> float:
    """Return ``text`` as a time to wait that every clock can hold, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"expected seconds, 0 to {_SECONDS_MAX:,}, not {text!r}")
    return number


def add_socket(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="the daemon's socket (STEPWELL_SOCKET)"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of the spool and the store (STEPWELL_DATA)"
    )


def add_config(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the daemon's configuration: its socket, data folder and store (STEPWELLD_CONFIG)",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the store to read: see `reading`."""
    add_data(parser)
    add_config(parser)
    add_socket(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON with stable keys")


def places(options: argparse.Namespace) -> Places:
    """Return the places, from options, environment and defaults in this order."""
    socket: Path | None = getattr(options, "socket", None)
    data: Path | None = getattr(options, "data", None)
    # A data folder on the command line also determines the folder of journals.
    environ = dict(os.environ)
    if data is not None:
        environ[DATA_VARIABLE] = str(data)
    where = default_socket() if socket is None else socket.expanduser().absolute()
    found = Places(
        socket=where,
        data=default_data_dir(environ),
        journals=default_journals_dir(environ),
        data_named=data is not None,
        config=getattr(options, "config", None),
        socket_named=socket is not None
        or bool(os.environ.get(SOCKET_VARIABLE))
        or where == SYSTEM_SOCKET,
        data_variable=bool(os.environ.get(DATA_VARIABLE)),
        socket_option=socket is not None,
        journals_named=bool(os.environ.get(JOURNALS_VARIABLE)),
    )
    if hasattr(options, "data") and os.path.exists(found.data) and not os.path.isdir(found.data):
        raise CommandError(
            f"{found.data} is not a folder; set --data or {DATA_VARIABLE} to the folder of "
            "the spool and the store",
            USAGE,
        )
    try:
        check_socket_path(found.socket)
    except ValueError as error:
        raise CommandError(str(error), USAGE) from error
    return found
