"""The exceptions that scripts catch. `Error` is the root of all that stepwell raises."""

from stepwell.errors import HubAccessError as AuthenticationError
from stepwell.errors import HubError as CommError
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


class UnsupportedError(UsageError):
    """Never raised."""
