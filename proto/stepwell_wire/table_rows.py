"""The rows of a table as a trainer stages them: in groups, each column of a group by itself.

    payload := MAGIC | head bytes u32 | head | group*
    head    := JSON: {"columns": [name, …], "rows": n}
    group   := rows u32 | block per column
    block   := code | has nulls u8 | bytes u64 | data
    data    := (1 byte a row: 1 where there is no value)? | values

Little-endian. Where there is no value a fixed-width block holds 0. Nothing but the standard library
at import: training processes import this.

code    values
"d"     float64
"q"     int64
"b"     1 byte, 0 or 1
"t"     int64, microseconds since 1970 UTC
"s"     JSON: a list of texts
"j"     JSON: a list of texts, each of them JSON
"m"     JSON: a list of texts, each a JSON object that says what a medium is
"x"     JSON: a list of [code, value]: of several kinds; "d" and "q" of it as JSON numbers, "b" as
        true and false, "t" as a number
"n"     no data: no row has a value
"""

import struct
from typing import Final

MAGIC: Final = b"SWTABLE1"
HEAD: Final = struct.Struct("<I")
GROUP: Final = struct.Struct("<I")
BLOCK: Final = struct.Struct("<cBQ")
GROUP_ROWS: Final = 65_536
COLUMNS_MAX: Final = 10_000
HEAD_BYTES_MAX: Final = 16 << 20

FLOAT: Final = "d"
INTEGER: Final = "q"
BOOLEAN: Final = "b"
MOMENT: Final = "t"
TEXT: Final = "s"
JSON: Final = "j"
MEDIUM: Final = "m"
MIXED: Final = "x"
NOTHING: Final = "n"
CODES: Final = FLOAT + INTEGER + BOOLEAN + MOMENT + TEXT + JSON + MEDIUM + MIXED + NOTHING
EXACT_MAX: Final = 2**53
"""Whole numbers up to this are float64 as well, exactly."""
