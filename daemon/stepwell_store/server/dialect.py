"""What servers of different ages understand: one schema and one set of queries, adapted as text.

``MODERN`` servers have everything that the embedded engine has. ``BASELINE`` ones, back to
18.16, have no codecs, no aggregating columns, no tokens, no 128-bit numbers, no TTL: their
tables keep partial rows as they came, which every query joins anyway, and a column ``batch``
that says which insert a row came by.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.native import split_types

_MODERN_SINCE: Final = (23, 3)

_NESTED: Final = r"\((?:[^()]|\([^()]*\))*\)"
_CODEC: Final = re.compile(rf" CODEC{_NESTED}")
_TUPLE: Final = re.compile(r"Tuple\(([^()]*)\)")
_COMMENT: Final = re.compile(r" COMMENT '[^']*'")  # 18.16 takes replicas apart over them.
_AGGREGATED: Final = re.compile(r"SimpleAggregateFunction\(\w+, ((?:[^()]|\([^()]*\))*)\)")
_CREATE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\s*\((.*)\)\s*ENGINE = (.*)", re.S)
_ENGINE: Final = re.compile(r"(\w*)MergeTree(?:\((\w+)\))? ORDER BY (\w+|\([\w, ]+\))")
_PARAMETER: Final = re.compile(r"(\bIN )?\{(\w+):(\w+(?:\(\w+\))?)\}")

_DEDUPLICATION_WINDOW: Final = 10_000
"""Blocks of a table that a server remembers; of many daemons, so ten times the embedded number."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A server's age, as far as it matters here."""

    name: str
    has_tokens: bool

    def adapted(self, sql: str) -> str:
        """Return one of our queries as the server understands it."""
        return sql if self.has_tokens else _for_baseline(sql)


MODERN: Final = Dialect("modern", has_tokens=True)
BASELINE: Final = Dialect("baseline", has_tokens=False)


def dialect_of(version: str) -> Dialect:
    """Return what a server of ``version`` ("18.16.1") understands."""
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    return MODERN if numbers >= _MODERN_SINCE else BASELINE


# ---------------------------------------------------------------------- tables


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a migration makes it.

    Attributes:
        key: the columns that it is sorted by.
        replaces: rows of one key are one row, so that storing them twice changes nothing.
    """

    name: str
    columns: str
    engine: str
    version: str
    key: tuple[str, ...]

    @property
    def replaces(self) -> bool:
        return self.engine == "Replacing"


def parse_table(statement: str) -> Table | None:
    """Return the table that ``statement`` makes, None where it makes none."""
    created = _CREATE.match(statement)
    if created is None:
        return None
    name, columns, rest = created.groups()
    engine = _ENGINE.match(rest)
    assert engine is not None, f"no engine is understood in {rest!r}"
    kind, version, key = engine.groups()
    return Table(name, columns.strip(), kind, version or "", tuple(re.findall(r"\w+", key)))


def local_name(table: str, cluster: str) -> str:
    """Return where a server keeps its own part of ``table``."""
    return f"{table}_local" if cluster else table


def table_statements(
    table: Table, dialect: Dialect, *, database: str, cluster: str, everywhere: bool = False
) -> list[str]:
    """Return what makes ``table`` on the servers.

    Args:
        everywhere: each server of the cluster holds all of it, instead of its shard.
    """
    columns, engine = table.columns, table.engine
    # pandas' types stand between the driver and these; the tables that have them are small.
    columns = columns.replace("LowCardinality(String)", "String")
    settings = {"fsync_after_insert": 1, "fsync_part_directory": 1}
    settings["min_compressed_bytes_to_fsync_after_merge"] = 1
    if not dialect.has_tokens:
        settings = {}
        columns = _AGGREGATED.sub(r"\1", _COMMENT.sub("", _CODEC.sub("", columns)))
        columns = _TUPLE.sub(_without_names, columns)
        if engine == "Aggregating":
            engine = ""
        if engine == "":
            columns += ",\n    batch UInt64"
    arguments = [table.version] if table.version else []
    prefix = ""
    if cluster:
        prefix = "Replicated"
        shard, replica = ("all", "{shard}-{replica}") if everywhere else ("{shard}", "{replica}")
        path = f"/clickhouse/tables/{shard}/{database}/{table.name}"
        arguments = [f"'{path}'", f"'{replica}'", *arguments]
        settings["replicated_deduplication_window"] = _DEDUPLICATION_WINDOW
    elif dialect.has_tokens:
        settings["non_replicated_deduplication_window"] = _DEDUPLICATION_WINDOW
    on_cluster = f" ON CLUSTER {cluster}" if cluster else ""
    local = f"{database}.{local_name(table.name, cluster)}"
    given = f"({', '.join(arguments)})" if arguments else ""
    ordered = ", ".join(table.key)
    held = ", ".join(f"{name} = {value}" for name, value in settings.items())
    made = [
        f"CREATE TABLE IF NOT EXISTS {local}{on_cluster} ({columns}\n) "
        f"ENGINE = {prefix}{engine}MergeTree{given} ORDER BY ({ordered})"
        + (f" SETTINGS {held}" if held else "")
    ]
    if cluster:
        made.append(
            f"CREATE TABLE IF NOT EXISTS {database}.{table.name}{on_cluster} AS {local} "
            f"ENGINE = Distributed({cluster}, {database}, {local_name(table.name, cluster)})"
        )
    return made


def _without_names(found: re.Match[str]) -> str:
    """Return a tuple's type; 18.16 cannot send aggregates of tuples whose elements have names."""
    members = (each.split()[-1] for each in found[1].split(","))
    return f"Tuple({', '.join(members)})"


# ---------------------------------------------------------------------- queries


_NEWEST: Final = re.compile(r"bitShiftLeft\(toInt128\(([\w.]+)\), 64\) \+ ([\w.]+)")
_ELEMENT: Final = re.compile(
    r"(\b(?:last|first)|\bm(?:ax|in)\((?:last|first)\))\.(step|time|value)\b"
)
_PLACES: Final = {"step": 1, "time": 2, "value": 3}
_IN_ORDER: Final = re.compile(r"\s*SETTINGS optimize_aggregation_in_order = 1\s*")


def _for_baseline(sql: str) -> str:
    sql = _NEWEST.sub(r"(\1, \2)", sql)
    sql = _ELEMENT.sub(lambda found: f"tupleElement({found[1]}, {_PLACES[found[2]]})", sql)
    return _IN_ORDER.sub("\n", sql)


def with_literals(sql: str, parameters: Mapping[str, object] | None) -> str:
    """Return ``sql`` with the value of each ``{name:Type}`` in its place.

    What has no value is left as it stands: it may be text of the caller's own.

    Raises:
        TypeError: A value is none that a parameter can have.
    """
    if not parameters:
        return sql

    def literal(found: re.Match[str]) -> str:
        is_set, name, type_name = found.groups()
        if name not in parameters:
            return found[0]
        value = parameters[name]
        inner = type_name.removeprefix("Array(").removesuffix(")")
        if inner == type_name:
            return (is_set or "") + _literal(value, type_name)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise TypeError(f"{name} is a list of {inner}, not {value!r}")
        if is_set and not value:
            nothing = "''" if inner == "String" else f"CAST('0' AS {inner})"
            return f"IN (SELECT {nothing} FROM system.one WHERE 0)"
        elements = ", ".join(_element(each, inner) for each in value)
        if is_set:
            return f"IN ({elements})"
        return f"CAST([{elements}] AS {type_name})"

    return _PARAMETER.sub(literal, sql)


def _literal(value: object, type_name: str) -> str:
    if value is None:
        return "NULL"
    if type_name == "String":
        return _quoted(str(value))
    number = _number(value)
    # A literal of its own suffices, and where a limit stands nothing else does.
    return f"CAST('{number}' AS {type_name})" if number.startswith("-9") else number


def _element(value: object, type_name: str) -> str:
    return _quoted(str(value)) if type_name == "String" else _number(value)


def _number(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"a query parameter is text, a number, None or a list of them, not {value!r}")


_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\0": "\\0",
        "\b": "\\b",
        "\f": "\\f",
    }
)


def _quoted(text: str) -> str:
    escaped = text.encode("utf-8", "replace").decode().translate(_ESCAPES)
    return f"'{escaped}'"


def named_values(type_name: str, value: Any) -> Any:
    """Return ``value`` of ``type_name`` with named tuples as dicts, as the embedded engine has."""
    outer, _, inner = type_name.partition("(")
    if outer in ("Nullable", "LowCardinality", "SimpleAggregateFunction") and value is not None:
        inner = inner[:-1]
        return named_values(split_types(inner)[-1] if outer[0] == "S" else inner, value)
    if outer == "Tuple" and value is not None:
        members = [each.partition(" ") for each in split_types(inner[:-1])]
        if all(rest and "(" not in name for name, _, rest in members):
            return {
                name: named_values(rest, item)
                for (name, _, rest), item in zip(members, value, strict=True)
            }
        return list(value)
    return value
