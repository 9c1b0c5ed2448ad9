from wandb.sdk.lib import RunDisabled

__all__ = ["RunDisabled"]
