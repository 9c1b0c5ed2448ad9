"""A signal in the middle of a call."""

from collections.abc import Callable
from typing import Any


class Interrupted:
    """Stands for a method that a signal handler interrupts, once, as it begins."""

    def __init__(self, method: Callable[..., Any], handler: Callable[[], None]) -> None:
        self._method = method
        self._handler: Callable[[], None] | None = handler

    @property
    def is_armed(self) -> bool:
        """Whether it was never called."""
        return self._handler is not None

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler()
        return self._method(*arguments, **more)
