"""The exceptions, where some packages look for them."""

from wandb.errors import AuthenticationError, CommError, Error, UnsupportedError, UsageError

__all__ = ["AuthenticationError", "CommError", "Error", "UnsupportedError", "UsageError"]
