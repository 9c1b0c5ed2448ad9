"""Private names that other packages import."""

from wandb.sdk.lib import config_util, runid

__all__ = ["RunDisabled", "config_util", "runid"]


class RunDisabled:
    """What a disabled run was in older clients. Ours is a `Run`."""
