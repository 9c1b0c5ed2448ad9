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
    return conversion_of(warn, stage, name=name).convert(value)


def conversion_of(
    warn: Warn, stage: "Stage | None" = None, *, name: str, lists_by_path: bool = False
) -> Conversion:
    """Return the conversion that `as_json` makes, which notes the media that it converts."""
    return Conversion(warn, stage, name=name, make_media=_make_media, lists_by_path=lists_by_path)


def as_finite_json(value: dict[str, Any], warn: Warn) -> dict[str, Any]:
    """Return ``value`` as real JSON can hold it: as `as_json`, without NaN and infinities.

    They become ``{"$float": "NaN"}``, the form of the hub's answers, and are read as numbers again.
    """
    finite: dict[str, Any] = _finite(as_json(value, warn))
    return finite


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, float) and value - value != 0:
        return {"$float": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}
    return value


def _make_media(value: Any, stage: "Stage | None") -> Any:
    from stepwell._table import make_media  # Imported with the first picture or table.

    return make_media(value, stage)
