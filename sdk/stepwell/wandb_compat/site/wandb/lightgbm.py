from wandb.integration.lightgbm import *  # noqa: F403
