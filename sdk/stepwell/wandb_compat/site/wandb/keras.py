from wandb.integration.keras import *  # noqa: F403
