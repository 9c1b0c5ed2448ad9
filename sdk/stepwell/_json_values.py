"""Any value in terms of None, bool, int, float, text, list and dict. Called rarely."""

from typing import TYPE_CHECKING, Any

from stepwell._json_conversion import Conversion
from stepwell._names import Warn

if TYPE_CHECKING:
    from stepwell._staging import Stage


def as_json(value: Any, warn: Warn, stage: "Stage | None" = None, *, name: str = "") -> Any:
    """Return ``value`` as JSON could hold it; exact types, valid texts.

    The bytes of media go to ``stage``, and what names them is in their place.
    What is nested deeper than ``VALUE_DEPTH_MAX`` is kept as a short text. What comes after
    ``VALUE_ITEMS_MAX`` items or ``VALUE_BYTES_MAX`` bytes is cut, which is said with ``name``.
    """
    return Conversion(warn, stage, name=name, make_media=_make_media).convert(value)


def _make_media(value: Any, stage: "Stage | None") -> Any:
    from stepwell._table import make_media  # By the first picture or table that is logged.

    return make_media(value, stage)
