"""The index of a DataFrame or Series of pandas: its row labels.

The default index, 0, 1, 2 …, says nothing and is not kept. pandas is never imported here.
"""

from collections.abc import Collection, Mapping
from typing import Any


def is_series(value: Any) -> bool:
    """Whether it is a Series of pandas."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "Series"


def is_labelled(series: Any) -> bool:
    """Whether the index of a Series is not the default one."""
    return not _is_default(series.index)


def values_by_label(series: Any) -> Mapping[Any, Any] | list[tuple[Any, Any]]:
    """Return the values by their labels; if a label is there twice, pairs of label and value."""
    pairs = list(zip(series.index.tolist(), series.tolist(), strict=True))
    return dict(pairs) if series.index.is_unique else pairs


def label_columns(index: Any, taken: Collection[Any]) -> dict[Any, list[Any]]:
    """Return a column for each level of ``index``, by name; none for the default index.

    Args:
        taken: names of other columns. A level without a name, or with one of these, has a name
            that is free: ``index``, ``level_0`` …
    """
    if _is_default(index):
        return {}
    found: dict[Any, list[Any]] = {}
    for level in range(index.nlevels):
        labels = index.get_level_values(level)
        values = [
            None if is_gone else label
            for label, is_gone in zip(labels.tolist(), labels.isna().tolist(), strict=True)
        ]
        found[_name(labels.name, level, index.nlevels, {*taken, *found})] = values
    return found


def _name(name: Any, level: int, levels: int, taken: Collection[Any]) -> Any:
    if name is None and levels == 1:
        name = "index"
    while name is None or name in taken:
        name, level = f"level_{level}", level + 1
    return name


def _is_default(index: Any) -> bool:
    if index.nlevels > 1 or index.name is not None:
        return False
    if type(index).__name__ == "RangeIndex":
        return not len(index) or (index.start == 0 and index.step == 1)
    if getattr(index.dtype, "kind", "") not in "iu":
        return not len(index)
    return bool((index == range(len(index))).all())
