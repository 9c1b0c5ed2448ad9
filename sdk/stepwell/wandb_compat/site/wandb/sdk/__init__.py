"""Where other packages look for classes of Weights & Biases' client."""

from stepwell import Artifact, Config, Settings, Summary
from stepwell.wandb_compat._init import init
from stepwell.wandb_compat._run import Run
from wandb.sdk import artifacts, lib, wandb_config, wandb_run, wandb_settings, wandb_summary

__all__ = [
    "Artifact",
    "Config",
    "Run",
    "Settings",
    "Summary",
    "artifacts",
    "init",
    "lib",
    "wandb_config",
    "wandb_run",
    "wandb_settings",
    "wandb_summary",
]
