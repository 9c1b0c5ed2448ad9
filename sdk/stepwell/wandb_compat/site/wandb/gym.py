"""Videos of gym environments are not recorded yet."""

from typing import Any

from stepwell._accounts import termwarn

__all__ = ["monitor"]


def monitor(*arguments: Any, **named: Any) -> None:
    termwarn("videos of gym environments are not recorded", repeat=False)
