"""Media of scripts: the part that all kinds share, and the kinds whose content is not kept yet.

For these `log` keeps the class and the texts that were given with them, so that a reader sees that
something was logged there. Kinds that are kept have separate files: `_image.py`, `_files.py`,
`_table.py`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from stepwell._names import text_of

if TYPE_CHECKING:
    from stepwell._names import Warn
    from stepwell._staging import Stage

_CAPTION_CHARACTERS_MAX: Final = 1000


class Media:
    """A logged object that is neither a number nor a text.

    Attributes:
        type: the name of its kind in the history.
        list_type: the name for a list of them, "" if a list has no name.
        is_kept: whether `log` keeps the content.
        given: the arguments, by name.
    """

    type: ClassVar[str] = "media"
    list_type: ClassVar[str] = ""
    is_kept: bool = False
    parameters: ClassVar[tuple[str, ...]] = ()
    """Names of its arguments, in order; an unknown one is a TypeError."""

    def __init__(self, *values: Any, **named: Any) -> None:
        if len(values) > len(self.parameters):
            raise TypeError(
                f"{type(self).__name__}() takes {len(self.parameters)} values, not {len(values)}"
            )
        given = dict(zip(self.parameters, values, strict=False))
        for name, value in named.items():
            if name not in self.parameters or name in given:
                raise TypeError(
                    f"{type(self).__name__}() has no argument {name!r}, or it was already "
                    f"given; it takes {', '.join(self.parameters)}"
                )
            given[name] = value
        self.given = given
        self.caption = given.get("caption")

    def described(self, stage: "Stage | None", warn: "Warn") -> dict[str, Any]:
        """Return its value for the history; the bytes of kept media go to ``stage``.

        Args:
            stage: None if media are not kept, such as in a config.
        """
        return {"_type": self.type, "kept": False, **self.caption_field()}

    def caption_field(self) -> dict[str, Any]:
        if self.caption is None:
            return {}
        text = text_of(self.caption)[:_CAPTION_CHARACTERS_MAX]
        return {"caption": text}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, not kept>"


class Bokeh(Media):
    type = "bokeh-file"
    parameters = ("data_or_path",)


class Graph(Media):
    type = "graph-file"
    parameters = ("format",)


class Classes(Media):
    type = "classes"
    parameters = ("class_set",)


class ImageMask(dict[str, Any]):
    """A mask for `Image` as Weights & Biases' client has it: the dict ``val``."""

    def __init__(self, val: Mapping[str, Any], key: str) -> None:
        super().__init__(val)


class BoundingBoxes2D(ImageMask):
    """A group of boxes, as `ImageMask` is a mask."""


def box3d(
    *,
    center: Sequence[float],
    size: Sequence[float],
    orientation: Sequence[float],
    color: Sequence[int],
    label: str | None = None,
    score: float | None = None,
) -> dict[str, Any]:
    """Return a box for `Object3D.from_point_cloud`."""
    return {
        "center": list(center),
        "size": list(size),
        "orientation": list(orientation),
        "color": list(color),
        "label": label,
        "score": score,
    }


class JoinedTable(Media):
    type = "joined-table"
    parameters = ("table1", "table2", "join_key")
