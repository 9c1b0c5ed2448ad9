"""The sink: what its last error means, and what to do about it."""

from collections.abc import Iterator
from typing import Any, Final

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.text import counted

_WAITS: Final = "logged rows wait in the spool"
_STORE: Final = {
    "auth": "correct the store's user and password",
    "busy": "another process uses the store: end it (a `stepwell` command with --data, an older "
    "daemon)",
    "configuration": "correct the setting or the file that it names; it is read again",
    "disk": "free space on the disk of --data, or repair it",
    "memory": "raise engine_memory_bytes, or lower block_points, and start the daemon again",
    "other": "see engine.log in the data folder",
    "read_only": "the store's disk or tables are read-only: mount it for writing, or free space",
    "schema": "wait: the daemon makes missing tables; if the error stays, see engine.log",
    "schema_newer": "a later release upgraded this store: upgrade stepwell and restart the daemon",
    "too_many_parts": "wait: the store merges its parts; if the error stays, raise "
    "block_delay_seconds",
    "unreachable": "wait: the engine is started again; if the error stays, see engine.log in "
    "the data folder",
    "version": "install the same release on both sides",
}
_SERVERS: Final = {
    "auth": "correct clickhouse_user, clickhouse_password_file, and the rights of the user",
    "busy": "wait: the daemon retries; if the error stays, see the server's log",
    "configuration": "correct the setting or the file that it names; it is read again",
    "disk": "free space on the disk that it names (the server's, or that of --data), or repair it",
    "memory": "give the server more memory (max_memory_usage), or lower block_points and start the "
    "daemon again",
    "other": "see the daemon's log and the server's",
    "read_only": "the server's tables are read-only: check its Keeper and its disk",
    "schema": "wait: the daemon makes missing tables; if the error stays, see the server's log",
    "schema_newer": "a later release upgraded this database: upgrade stepwell and start the daemon "
    "again",
    "too_many_parts": "wait: the server merges its parts; if the error stays, raise "
    "block_delay_seconds",
    "unreachable": "check that the server runs, that clickhouse_hosts and the firewall are right, "
    "and that clickhouse_ca_file signed its certificate",
    "version": "install the same release on both sides",
}
_GATEWAY: Final = {
    "auth": "put a token of the gateway's gateway_tokens_file into this node's "
    "gateway_token_file; no restart is needed",
    "busy": "the gateway is full or is stopping: run `stepwell doctor` there",
    "configuration": "correct the file that it names (tokens, keys: mode 0600); it is read again",
    "disk": "free space on the disk of --data, or repair it",
    "other": "see the daemon's log here and at the gateway",
    "unreachable": "check that the gateway runs, that gateway_address and the firewall are right, "
    "and that gateway_ca_file signed its certificate",
    "version": "install the same major release on both sides, the gateway first",
}


def sink_name(fields: dict[str, Any]) -> str:
    """Return which sink the daemon has: "embedded", "clickhouse" or "gateway"."""
    return str(fields["sink"]["kind"]).partition(" ")[0]


def sink(fields: dict[str, Any]) -> Iterator[Finding]:
    """Yield whether the sink takes what the spool holds, and how steady it is."""
    state = fields["sink"]
    remedies = {"gateway": _GATEWAY, "clickhouse": _SERVERS}.get(sink_name(fields), _STORE)
    if state["healthy"]:
        yield Finding("sink", Level.OK, f"{state['kind']}, {counted(state['inserts'], 'insert')}")
    else:
        remedy = remedies.get(state.get("last_error_kind", ""), remedies["other"])
        yield Finding(
            "sink", Level.FAIL, f"{state['kind']}: {state['last_error']}", f"{remedy}; {_WAITS}"
        )
    if restarts := state.get("engine_restarts", 0):
        yield Finding(
            "sink",
            Level.WARN,
            f"the store's engine ended {counted(restarts, 'time')} and was started again",
            "see engine.log in the data folder and `dmesg` (out of memory?); no data is lost",
        )
    if changes := fields.get("gateway", {}).get("upstream_changes", 0):
        yield Finding(
            "sink",
            Level.WARN,
            f"the gateway had another spool than before, {counted(changes, 'time')}",
            "if you did not replace its spool, its unstored frames are lost: check the gateway",
        )
