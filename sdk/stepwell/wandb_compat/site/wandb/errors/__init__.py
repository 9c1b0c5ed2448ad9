"""The exceptions that scripts catch. `Error` is the root of all that stepwell raises."""

from stepwell.errors import StepwellError as Error
from stepwell.errors import UnavailableError, UsageError
from wandb.errors import term

__all__ = [
    "AuthenticationError",
    "CommError",
    "Error",
    "UnavailableError",
    "UnsupportedError",
    "UsageError",
    "term",
]


class CommError(Error):
    """No answer from a server. Never raised: `init` and `log` wait for no server."""

    def __init__(self, message: str, exc: Exception | None = None) -> None:
        super().__init__(message)
        self.message, self.exc = message, exc


class AuthenticationError(CommError):
    """Never raised: no login is needed."""


class UnsupportedError(UsageError):
    """Never raised."""
