"""`stepwell sql "SELECT …"`: one statement, which may only read.

Two guards: its tokens are checked (`stepwell_store.statement`), and the engine runs it with
`readonly = 1`.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from stepwell.cli.errors import OK, USAGE, CommandError
from stepwell.cli.options import add_store, places, seconds
from stepwell.cli.output import binary_stdout, format_by_ending, replaced_file
from stepwell.cli.reading import reading
from stepwell.cli.text import plain, table_text, text_width
from stepwell.cli.unsent import print_unsent

if TYPE_CHECKING:
    from stepwell_store import EmbeddedStore
    from stepwell_store.server.store import ServerStore

FORMATS: Final = {
    "table": "PrettyCompactMonoBlock",
    "json": "JSONEachRow",
    "jsonl": "JSONEachRow",
    "csv": "CSVWithNames",
    "parquet": "Parquet",
}
_FILE_FORMATS: Final = tuple(name for name in FORMATS if name != "table")
_SETTINGS: Final[dict[str, int | str]] = {
    "output_format_pretty_color": 0,
    "output_format_pretty_row_numbers": 0,
    "format_csv_null_representation": "''",
}
_ALL_ROWS: Final = {"output_format_pretty_max_rows": 2**62}
"""The table of a file or a pipe; on a terminal, the last line says how many rows are not shown."""
_QUOTED: Final = re.compile(r'[",\r\n]')
_READONLY_CODE: Final = 164
_CHANGES: Final = (
    "the statement changes data or a setting, or reads outside of the store; `stepwell sql` "
    "only reads the store"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("statement", metavar="SQL", help="one statement; - to read it from stdin")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="default: FORMAT of the statement, or by the ending of FILE; otherwise table",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help=f"write to FILE; its ending sets the format (.{', .'.join(_FILE_FORMATS)}), without "
        "an ending it is the table; - for stdout",
    )
    parser.add_argument("--timeout", type=seconds, default=300.0, metavar="SECONDS")
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    statement = _from_stdin() if options.statement == "-" else options.statement
    where = places(options)
    with reading(where) as store:
        named = _stated_format(statement, options)
        options.format = options.format or _default_format(named, options.output)
        from stepwell_store import EmbeddedStore, StoreError, TableMissingError
        from stepwell_store.statement import StatementError

        has_rows = True
        try:
            if isinstance(store, EmbeddedStore):
                result = _ask_embedded(store, statement, options)
                if not result and options.format == "table" and not named:
                    result = _ask_header(store, statement, options)
                    has_rows = False
            else:
                _refuse_format(named)
                result, has_rows = _ask_server(cast("ServerStore", store), statement, options)
        except StatementError as error:
            raise CommandError(str(error), USAGE) from error
        except TableMissingError as error:  # The user named a table that does not exist.
            message = str(error).rpartition("; a daemon")[0]
            raise CommandError(
                f"{message}; `stepwell sql 'SHOW TABLES'` lists the tables", USAGE
            ) from error
        except StoreError as error:
            if error.code == _READONLY_CODE:
                raise CommandError(_CHANGES, USAGE) from error
            raise
    print_unsent(where)
    if options.format == "table" and not has_rows:
        print("stepwell: 0 rows", file=sys.stderr)
    if options.format == "json":
        result = b"[" + b",\n".join(result.splitlines()) + b"]\n"
    if options.format == "csv":
        result = _without_empty_lines(result)
    to_stdout = options.output == "-"
    with binary_stdout() if to_stdout else replaced_file(options.output) as file:
        file.write(result)
    return OK


def _from_stdin() -> str:
    try:
        text = sys.stdin.read()
        text.encode()  # In the locale C, invalid bytes are read as lone surrogates.
    except UnicodeError as error:
        raise CommandError("standard input: expected a statement in UTF-8", USAGE) from error
    return text


def _stated_format(statement: str, options: argparse.Namespace) -> str:
    """Return the format that the statement names, "" without one or if it cannot be read.

    Raises:
        CommandError: ``--format`` is given, too, or the terminal cannot show it.
    """
    from stepwell_store.statement import StatementError, stated_format

    try:
        named = stated_format(statement)
    except StatementError:
        named = ""  # The store will report the error.
    if named and options.format:
        raise CommandError(
            f"the statement has FORMAT {named}, and --format is {options.format}; remove "
            "one of them",
            USAGE,
        )
    is_parquet = "parquet" in (options.format, named.lower())
    if is_parquet and options.output == "-" and sys.stdout.isatty():
        raise CommandError(
            "parquet is binary and cannot be shown on a terminal; give a file with -o", USAGE
        )
    return named


def _default_format(named: str, output: str) -> str:
    """Return the format by the ending of ``output``; the statement's own has priority.

    Raises:
        CommandError: No format has this ending.
    """
    if named or output == "-" or not Path(output).suffix:
        return "table"
    return format_by_ending(output, _FILE_FORMATS)


def _refuse_format(named: str) -> None:
    if named:
        raise CommandError(
            f"FORMAT {named}: not supported for a store in servers; remove it and "
            f"use --format {'|'.join(name for name in FORMATS if name != 'parquet')}",
            USAGE,
        )


def _ask_embedded(store: "EmbeddedStore", statement: str, options: argparse.Namespace) -> bytes:
    return store.read_bytes(
        statement,
        output_format=FORMATS[options.format],
        settings=_SETTINGS if _is_shown(options) else _SETTINGS | _ALL_ROWS,
        timeout_seconds=options.timeout,
    )


def _is_shown(options: argparse.Namespace) -> bool:
    return options.output == "-" and sys.stdout.isatty()


def _ask_header(store: "EmbeddedStore", statement: str, options: argparse.Namespace) -> bytes:
    """Return the table of a statement without rows, for which the engine draws nothing."""
    answer = store.read_bytes(
        statement, output_format="JSONCompact", settings=_SETTINGS, timeout_seconds=options.timeout
    )
    names = [f"─{plain(column['name'])}─" for column in json.loads(answer)["meta"]]
    lines = ["─" * text_width(name) for name in names]
    return f"┌{'┬'.join(names)}┐\n└{'┴'.join(lines)}┘\n".encode()


def _ask_server(
    store: "ServerStore", statement: str, options: argparse.Namespace
) -> tuple[bytes, bool]:
    """Return the result, and whether it has rows."""
    names, rows = store.read(statement, timeout_seconds=options.timeout)
    return _server_text(names, rows, options.format), bool(rows)


def _server_text(names: list[str], rows: list[dict[str, Any]], format_name: str) -> bytes:
    """Return the result; servers answer in blocks of columns, so the text is made here."""
    match format_name:
        case "json" | "jsonl":
            lines = (json.dumps(_quoted_floats(row), default=str) for row in rows)
            return "".join(f"{line}\n" for line in lines).encode()
        case "csv":
            return b"".join(map(_csv_line, (names, *(row.values() for row in rows))))
        case "table":
            cells = [[str(value) for value in row.values()] for row in rows]
            return f"{table_text(names, cells)}\n".encode()
    raise CommandError(
        "parquet is not supported for a store in servers; use csv, or `stepwell export`", USAGE
    )


def _quoted_floats(value: Any) -> Any:
    """Return ``value`` with NaN and infinities as the engine writes them: "nan", "-inf"."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(name): _quoted_floats(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_quoted_floats(item) for item in value]
    return value


def _csv_line(values: Iterable[Any]) -> bytes:
    """Return a line as the embedded engine writes it: null is empty, an empty text is ``""``."""
    return f"{','.join(map(_csv_cell, values))}\n".encode()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if text and not _QUOTED.search(text):
        return text
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _without_empty_lines(text: bytes) -> bytes:
    """Write ``""`` for a null that is alone in its line, because readers skip empty lines."""
    if b"\n\n" not in text:
        return text
    parts = text.split(b'"')  # Every second part is inside quotes.
    parts[::2] = [re.sub(rb"\n(?=\n)", b'\n""', part) for part in parts[::2]]
    return b'"'.join(parts)
