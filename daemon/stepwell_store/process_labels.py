"""Labels of the node's series that belong to one process of a run.

process-WRITER          the process with its children process-WRITER@gpu0     its part of one GPU,
or MIG instance
"""

from dataclasses import dataclass
from typing import Final

_PREFIX: Final = "process-"
_MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class ProcessLabel:
    """A parsed label; ``device`` is empty for the process itself."""

    writer_id: str
    device: str


def process_label(writer_id: str, device: str = "") -> str:
    """Return the label of a writer's process, or of its part of ``device``."""
    return f"{_PREFIX}{writer_id}{_MARK if device else ''}{device}"


def parse_process_label(label: str) -> ProcessLabel | None:
    """Return the parsed ``label``, None if it is not of a process."""
    if not label.startswith(_PREFIX):
        return None
    writer_id, _, device = label.removeprefix(_PREFIX).rpartition(_MARK)
    return ProcessLabel(writer_id, device) if writer_id else ProcessLabel(device, "")
