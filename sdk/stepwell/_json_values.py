"""Any value in terms of None, bool, int, float, text, list and dict. Called rarely."""

from typing import TYPE_CHECKING, Any

from stepwell._json_conversion import Conversion
from stepwell._names import Warn

if TYPE_CHECKING:
    from stepwell._staging import Stage


def as_json(value: Any, warn: Warn, stage: "Stage | None" = None, *, name: str = "") -> Any:
    """Return ``value`` as JSON could hold it; exact types, valid texts.

    The bytes of media go to ``stage``; a dict that names them replaces them. Values nested deeper
    than ``VALUE_DEPTH_MAX`` are kept as a short text. After ``VALUE_ITEMS_MAX`` items or
    ``VALUE_BYTES_MAX`` bytes the rest is cut, and a warning gives ``name``.
    """
    return Conversion(warn, stage, name=name, make_media=_make_media).convert(value)


def _make_media(value: Any, stage: "Stage | None") -> Any:
    from stepwell._table import make_media  # Imported with the first picture or table.

    return make_media(value, stage)
