"""Media and tables, where other packages look for them."""

from wandb.data_types import *  # noqa: F403
