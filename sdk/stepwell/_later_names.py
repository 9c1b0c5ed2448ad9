"""Names of Weights & Biases' objects that an object of ours does not have."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from stepwell.errors import UnavailableNameError


class LaterNames:
    """Raises an error with an alternative for such a name.

    Attributes:
        _whose: begins the error, such as ``a read run's``.
        _later: the alternative to each name.
    """

    _whose: ClassVar[str] = ""
    _later: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # A type checker still reports a name that is missing in our own code.

        def __getattr__(self, name: str) -> Any:
            if name in self._later:
                raise UnavailableNameError(f"{self._whose} {name}", self._later[name])
            if isinstance(held := getattr(type(self), name, None), property):
                return held.__get__(self)  # It raised an AttributeError: that one is the right one.
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def in_browser(url: str) -> dict[str, str]:
    """Return the alternative to the methods that show an object in a notebook."""
    return dict.fromkeys(("display", "to_html"), f"open {url} in a browser")
