"""Asking the daemon for the state of drafts.

    python -m stepwell._artifacts.asking SOCKET QUESTION

does it in a separate process, if this one must not use grpc (`_relay_process.py`).
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from stepwell import _import_gate
from stepwell._relay_process import must_not_use_grpc
from stepwell.errors import DaemonUnreachableError

_HELPER_SECONDS = 60.0


def ask(
    socket: str, keys: Sequence[str] = (), *, project: str = "", name: str = ""
) -> list[dict[str, Any]]:
    """Return the state of drafts, in the form of docs/formats/artifacts.md: of ``keys``, else of
    all that wait under ``name`` ("": all names) in ``project``.

    Raises:
        DaemonUnreachableError: It does not answer.
        RefusedError: It is of a release without artifacts.
    """
    question = {"keys": list(keys), "project": project, "name": name}
    if must_not_use_grpc():
        return _in_another_process(socket, question)
    with _import_gate.importing:
        from stepwell._blob_channel import ask_artifacts
    return ask_artifacts(socket, question)


def _in_another_process(socket: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    import subprocess

    from stepwell_wire.interpreter import helper_command, helper_environment

    try:
        done = subprocess.run(
            [*helper_command("stepwell._artifacts.asking"), socket, json.dumps(question)],
            capture_output=True,
            timeout=_HELPER_SECONDS,
            check=True,
            cwd="/",
            env=helper_environment(),
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        detail = said.decode("utf-8", "replace").strip().splitlines()
        raise DaemonUnreachableError(socket, detail[-1] if detail else str(error)) from error
    return found


def main() -> None:
    from stepwell._blob_channel import ask_artifacts

    sys.stdout.write(json.dumps(ask_artifacts(sys.argv[1], json.loads(sys.argv[2]))))


if __name__ == "__main__":
    main()
