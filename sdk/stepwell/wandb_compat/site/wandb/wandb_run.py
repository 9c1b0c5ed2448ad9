from stepwell.wandb_compat._run import Run

__all__ = ["Run"]
