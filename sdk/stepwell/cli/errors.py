"""The error of a command that cannot do its work, and the exit codes."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
"""No daemon on the socket, or no store in the data folder."""
NOT_FOUND: Final = 4
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141


class CommandError(Exception):
    """One or two lines for the user: what went wrong and what to do; and the exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class EndedBySignal(BaseException):
    """A signal ends the command. Incomplete files are deleted before."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
