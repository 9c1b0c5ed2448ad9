"""The sink: what its last error means, and what to do about it."""

from collections.abc import Iterator
from typing import Any, Final

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.text import count_text, counted

_WAITS: Final = "what is logged waits in the spool meanwhile"
_STORE: Final = {
    "auth": "correct the store's user and password",
    "busy": "another process has the store: end it (`stepwell` commands with --data, an older "
    "daemon)",
    "configuration": "correct the setting or the file that it names; it is read again",
    "disk": "make room on the disk of --data, or repair it",
    "memory": "raise engine_memory_bytes, or lower block_points, and start the daemon again",
    "other": "see engine.log in the data folder",
    "read_only": "the store's disk or tables are read-only: mount it for writing, make room",
    "schema": "nothing: the daemon makes missing tables anew; if it stays, see engine.log",
    "schema_newer": "a later release has this store: upgrade stepwell and start the daemon again",
    "too_many_parts": "nothing: the store merges and takes blocks again; if it stays, raise "
    "block_delay_seconds",
    "unreachable": "nothing: the engine is started again; if it stays, see engine.log in the data "
    "folder",
    "version": "install the same release on both sides",
}
_SERVERS: Final = {
    "auth": "correct clickhouse_user and clickhouse_password_file, and what the user may do there",
    "busy": "nothing: the daemon tries again; if it stays, see the server's log",
    "configuration": "correct the setting or the file that it names; it is read again",
    "disk": "make room on the disk that it names, or repair it: the server's, or that of --data",
    "memory": "give the server more memory (max_memory_usage), or lower block_points and start the "
    "daemon again",
    "other": "see the daemon's log and the server's",
    "read_only": "the server's tables are read-only: see that it reaches its keeper, and its disk",
    "schema": "nothing: the daemon makes missing tables anew; if it stays, see the server's log",
    "schema_newer": "a later release has this database: upgrade stepwell and start the daemon "
    "again",
    "too_many_parts": "nothing: the server merges and takes blocks again; if it stays, raise "
    "block_delay_seconds",
    "unreachable": "see that the server runs, that clickhouse_hosts and the firewall are right, "
    "and that clickhouse_ca_file signed its certificate",
    "version": "install the same release on both sides",
}
_GATEWAY: Final = {
    "auth": "put a token that the gateway has in its gateway_tokens_file into this node's "
    "gateway_token_file; it is read again, no restart is needed",
    "busy": "nothing here: the gateway is full, or stops; `stepwell doctor` there says why",
    "configuration": "correct the file that it names (tokens, keys: mode 0600); it is read again",
    "disk": "make room on the disk of --data, or repair it",
    "other": "see the daemon's log here and at the gateway",
    "unreachable": "see that the gateway runs, that gateway_address and the firewall are right, "
    "and that gateway_ca_file signed its certificate",
    "version": "install the same major release on both sides, the gateway first",
}


def sink_name(fields: dict[str, Any]) -> str:
    """Return which sink the daemon has: "embedded", "clickhouse" or "gateway"."""
    return str(fields["sink"]["kind"]).partition(" ")[0]


def sink(fields: dict[str, Any]) -> Iterator[Finding]:
    """Yield whether the sink takes what the spool holds, and how steady it is."""
    told = fields["sink"]
    remedies = {"gateway": _GATEWAY, "clickhouse": _SERVERS}.get(sink_name(fields), _STORE)
    if told["healthy"]:
        yield Finding("sink", Level.OK, f"{told['kind']}, {counted(told['inserts'], 'insert')}")
    else:
        remedy = remedies.get(told.get("last_error_kind", ""), remedies["other"])
        yield Finding(
            "sink", Level.FAIL, f"{told['kind']}: {told['last_error']}", f"{remedy}; {_WAITS}"
        )
    if restarts := told.get("engine_restarts", 0):
        yield Finding(
            "sink",
            Level.WARN,
            f"the store's engine ended {count_text(restarts)} times and was started again",
            "engine.log in the data folder and `dmesg` (out of memory?) say why; nothing is lost",
        )
    if changes := fields.get("gateway", {}).get("upstream_changes", 0):
        yield Finding(
            "sink",
            Level.WARN,
            f"the gateway had another spool than before, {count_text(changes)} times",
            "if it was not replaced on purpose, what it held unstored is lost: look there",
        )
