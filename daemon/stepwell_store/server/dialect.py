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

from stepwell_store.ddl import DURABLE_SETTINGS, Features, add_column, create_table
from stepwell_store.native import split_types
from stepwell_store.table_spec import ColumnSpec, TableSpec
from stepwell_store.tables import BY_NAME

_MODERN_SINCE: Final = (23, 3)

_FROM: Final = re.compile(r"\bFROM (\w+)\b")
_PARAMETER: Final = re.compile(r"(\bIN )?\{(\w+):(\w+(?:\(\w+\))?)\}")

_DEDUPLICATION_WINDOW: Final = 10_000
"""Blocks of a table that a server remembers; of many daemons, so ten times the embedded number."""
_SERVER_SETTINGS: Final = (
    "fsync_after_insert",
    "fsync_part_directory",
    "min_compressed_bytes_to_fsync_after_merge",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """A server's age, as far as it matters here."""

    name: str
    has_tokens: bool

    @property
    def features(self) -> Features:
        # pandas' types stand between the driver and dictionaries; tables that have them are small.
        return Features(is_baseline=not self.has_tokens, has_dictionaries=False)

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


def local_name(table: str, cluster: str) -> str:
    """Return where a server keeps its own part of ``table``."""
    return f"{table}_local" if cluster else table


@dataclass(frozen=True, slots=True)
class Place:
    """Where tables are made: a database of a server, or of all servers of ``cluster``."""

    dialect: Dialect
    database: str
    cluster: str = ""

    @property
    def everywhere(self) -> str:
        """What goes behind a name for every server to obey."""
        return f" ON CLUSTER {self.cluster}" if self.cluster else ""

    def local(self, table: str) -> str:
        """Return where rows of ``table`` are kept."""
        return f"{self.database}.{local_name(table, self.cluster)}"

    def names(self, table: str) -> tuple[str, ...]:
        """Return each table that stands for ``table`` in the database: what keeps rows first."""
        return (local_name(table, self.cluster), table) if self.cluster else (table,)

    def localised(self, sql: str) -> str:
        """Return ``sql`` with each ``FROM`` a table of ours reading the server's own part."""
        return _FROM.sub(
            lambda found: f"FROM {self.local(found[1])}" if found[1] in BY_NAME else found[0], sql
        )

    def create(self, table: TableSpec) -> list[str]:
        """Return what makes ``table``."""
        settings = {name: DURABLE_SETTINGS[name] for name in _SERVER_SETTINGS}
        if not self.dialect.has_tokens:
            settings = {}
        replica: tuple[str, ...] = ()
        if self.cluster:
            shard, name = (
                ("all", "{shard}-{replica}")
                if table.is_on_every_server
                else ("{shard}", "{replica}")
            )
            path = f"/clickhouse/tables/{shard}/{self.database}/{table.name}"
            replica = (f"'{path}'", f"'{name}'")
            settings["replicated_deduplication_window"] = _DEDUPLICATION_WINDOW
        elif self.dialect.has_tokens:
            settings["non_replicated_deduplication_window"] = _DEDUPLICATION_WINDOW
        made = create_table(
            table,
            self.dialect.features,
            name=self.local(table.name),
            on_cluster=self.everywhere,
            replica=replica,
            settings=settings,
        )
        return [made, self._distributed(table.name)] if self.cluster else [made]

    def add_column(self, table: TableSpec, column: ColumnSpec) -> str:
        """Return what gives the table that keeps rows ``column``."""
        return add_column(self.local(table.name), column, self.dialect.features, self.everywhere)

    def renew_distributed(self, table: TableSpec) -> list[str]:
        """Return what gives the table over all shards the columns of those that keep rows.

        18.16 alters no such table on a cluster of replicas. It holds no rows: it is made anew.
        """
        name = f"{self.database}.{table.name}"
        return [
            f"DROP TABLE IF EXISTS {name}{self.everywhere}",
            self._distributed(table.name),
        ]

    def drop(self, table: str) -> list[str]:
        """Return what removes ``table`` with its rows, where it is there."""
        return [
            f"DROP TABLE IF EXISTS {self.database}.{name}{self.everywhere}"
            for name in reversed(self.names(table))
        ]

    def _distributed(self, table: str) -> str:
        kept_in = local_name(table, self.cluster)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.database}.{table}{self.everywhere} "
            f"AS {self.local(table)} "
            f"ENGINE = Distributed({self.cluster}, {self.database}, {kept_in})"
        )


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
