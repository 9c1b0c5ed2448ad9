"""A worker: a process with an engine of its own that reads files of Parquet. One request at a time.

    {"op": "schema", "path"}             → {"columns": [{"name", "type"}], "rows"}
    {"op": "query", "queries": [sql]}    → {"sizes": [n]}, and the answers in JSON as the body
    {"op": "export", "sql", "format", "target"} → {"size"}: the answer is in the file
    each may be                          → {"error", "code"}: a code of ClickHouse, 0 for another

It ends when the hub closes its socket, or dies.
"""

import argparse
import ctypes
import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from stepwell_store.channel import receive_message, send_message
from stepwell_store.errors import code_of
from stepwell_wire.capabilities import drop_capabilities
from stepwell_wire.table_columns import METADATA_KEY

_PR_SET_PDEATHSIG: Final = 1
_ERROR_CHARACTERS_MAX: Final = 2000
_SETTINGS: Final = (
    "SET output_format_json_quote_denormals = 1, output_format_json_quote_64bit_integers = 0, "
    "session_timezone = 'UTC', output_format_json_named_tuples_as_objects = 0, "
    "output_format_parquet_string_as_string = 1"
)


class Engine:
    """The engine and its queries."""

    def __init__(self, memory_bytes: int, seconds: float) -> None:
        import chdb

        self._connection = chdb.connect(":memory:")
        self._connection.query(
            f"{_SETTINGS}, max_memory_usage = {memory_bytes}, max_execution_time = {seconds}"
        )

    def answer(self, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the answer's fields and body."""
        match asked["op"]:
            case "schema":
                return _schema(asked["path"]), b""
            case "query":
                answers = [
                    self._connection.query(sql, "JSONCompact").bytes() for sql in asked["queries"]
                ]
                return {"sizes": [len(each) for each in answers]}, b"".join(answers)
            case "export":
                target = Path(asked["target"])
                data = self._connection.query(asked["sql"], asked["format"]).bytes()
                return {"size": target.write_bytes(data)}, b""
        raise ValueError(f"op {asked['op']!r}")


def _schema(path: str) -> dict[str, Any]:
    import pyarrow.parquet as pq

    found = pq.read_metadata(path)
    told = (found.metadata or {}).get(METADATA_KEY)
    if told is None:
        raise ValueError("the file has no list of columns, so it is not a table of stepwell")
    return {"columns": json.loads(told), "rows": found.num_rows}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    drop_capabilities()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    peer = socket.socket(fileno=options.fd)
    try:
        engine = Engine(options.memory_bytes, options.seconds)
    except ImportError as error:
        send_message(peer, {"error": f"the engine is not installed: {error}", "code": 0})
        sys.exit(1)
    send_message(peer, {"ready": True})
    while (message := receive_message(peer)) is not None:
        try:
            fields, body = engine.answer(message.fields)
            send_message(peer, fields, body=body)
        except Exception as error:  # Every error of the engine goes to the caller.
            text = str(error)
            told = {"error": text[:_ERROR_CHARACTERS_MAX], "code": code_of(text) or 0}
            send_message(peer, told)


if __name__ == "__main__":
    main()
