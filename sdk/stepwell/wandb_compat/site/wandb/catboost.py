from wandb.integration.catboost import *  # noqa: F403
