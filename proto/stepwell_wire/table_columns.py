"""Names and types of a stored table's columns, kept beside the rows in Parquet.

The columns of the file are called ``c0``, ``c1`` …: a script may give its columns any name,
also the same name twice. ``k3`` holds the kinds of a mixed ``c3``, ``row`` the rows' numbers.
"""

from dataclasses import dataclass
from typing import Final

METADATA_KEY: Final = b"stepwell.columns"
ROW: Final = "row"

NUMBER: Final = "number"
INTEGER: Final = "integer"
BOOLEAN: Final = "boolean"
DATETIME: Final = "datetime"
TEXT: Final = "text"
JSON: Final = "json"
MEDIA: Final = "media"
MIXED: Final = "mixed"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: its name, and one of the types above."""

    name: str
    type: str
