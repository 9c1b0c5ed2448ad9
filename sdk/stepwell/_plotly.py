"""`Plotly`: a figure of Plotly that a run logs, with the plotly.js of its package.

Each figure is kept as JSON. The library, 5 MB, is kept once for each process of a run, and the blob
store keeps equal bytes once. So a figure is drawn by the version that made it, and the page needs
no library.
"""

import os
import sys
import weakref
from typing import Any, Final

from stepwell._image import Image
from stepwell._media import Media
from stepwell._names import Warn
from stepwell._pixels import figure_of
from stepwell._staging import Stage
from stepwell_wire.staged import FILE, TEXT

_LIBRARY: Final = os.path.join("package_data", "plotly.min.js")
_libraries: "weakref.WeakKeyDictionary[Any, tuple[int, dict[str, Any]]]" = (
    weakref.WeakKeyDictionary()
)
"""Of each stage: the process, and what the row says of the library that was staged in it."""


class Plotly(Media):
    """A figure of Plotly. It is converted to JSON at once.

    Args:
        val: a figure of plotly; a figure of matplotlib becomes an image.

    Raises:
        TypeError: ``val`` is neither.
    """

    type = "plotly-file"
    is_kept = True
    parameters = ("val", "caption")

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        figure: Any = self.given.pop("val", None)  # Not kept: it may be large.
        self._image: Image | None = None
        self._json = b""
        if is_plotly(figure):
            self._json = figure.to_json().encode("utf-8", "backslashreplace")
        elif figure_of(figure) is not None:
            self._image = Image(figure, caption=self.caption)
        else:
            raise TypeError(
                f"Plotly: expected a figure of plotly or matplotlib, not a {type(figure).__name__}"
            )

    def described(self, stage: Stage | None, warn: Warn) -> dict[str, Any]:
        if self._image is not None:
            return self._image.described(stage, warn)
        if stage is None:
            return super().described(stage, warn) | {"kept": False}
        about: dict[str, Any] = {"_type": self.type, "format": "json"}
        about |= stage.keep(TEXT, {"media_type": "application/json"}, [self._json])
        return about | self.caption_field() | _library(stage, warn)

    def __repr__(self) -> str:
        return "<Plotly>"


def is_plotly(value: Any) -> bool:
    base = sys.modules.get("plotly.basedatatypes")
    return base is not None and isinstance(value, base.BaseFigure)


def _library(stage: Stage, warn: Warn) -> dict[str, Any]:
    """Return what the row says of the library, which is staged with the first figure."""
    held = _libraries.get(stage)
    if held is not None and held[0] == os.getpid():
        return held[1]
    package = sys.modules.get("plotly")
    places = list(getattr(package, "__path__", ()))
    path = os.path.join(places[0], _LIBRARY) if places else _LIBRARY
    kept = stage.keep_file(FILE, {"media_type": "text/javascript"}, path)
    if kept["blob"] is None:
        warn(
            "plotly.js",
            f"Plotly: {kept['failed']}: plotly.js was not stored, so the page cannot draw the "
            "figures; their data are kept",
        )
        return {}
    # A text, not a medium: a row that is dropped takes its media with it, and not the library.
    found = {"library": kept["blob"]}
    _libraries[stage] = (os.getpid(), found)
    return found
