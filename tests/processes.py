"""What became of a process."""

import subprocess
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Return whether ``pid`` runs; one that has ended and is not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill ``process`` and wait until it is gone; what it would have said is dropped."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
