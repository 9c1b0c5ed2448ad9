"""TensorBoard's files are not read yet: log the values themselves."""

from typing import Any

from stepwell._accounts import termwarn

__all__ = ["log", "patch", "unpatch"]

_TEXT = "TensorBoard's files are not read; log the values with wandb.log()"


def patch(
    save: bool = True, tensorboard_x: Any = None, pytorch: Any = None, root_logdir: str = ""
) -> None:
    termwarn(_TEXT, repeat=False)


def unpatch() -> None:
    """No effect."""


def log(tf_summary_str_or_pb: Any, history: Any = None, step: int = 0, **more: Any) -> None:
    termwarn(_TEXT, repeat=False)
