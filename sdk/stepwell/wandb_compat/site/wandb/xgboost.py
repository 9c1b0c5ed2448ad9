from wandb.integration.xgboost import *  # noqa: F403
