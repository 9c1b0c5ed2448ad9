"""The writer of some records, with the facts that the tables need."""

from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.identity import fingerprint

NODE_SCOPE: Final = "node"


@dataclass(frozen=True, slots=True)
class WriterInfo:
    """One writer: a process that logs into a run, or a daemon that samples its node.

    Attributes:
        label: distinguishes the writers of a run; empty if there is only one.
        scope: ``"run"``, or ``"node"`` for a daemon's own series of ``host``.
    """

    project: str
    run_id: str
    writer_id: str
    label: str
    scope: str
    host: str
    pid: int

    @classmethod
    def of(cls, described: Any) -> "WriterInfo":
        """Return the writer from the fields of a hello, a journal or a staged file."""
        return cls(
            described.project,
            described.run_id,
            described.writer_id,
            described.label,
            getattr(described, "scope", "") or "run",
            described.host,
            described.pid,
        )

    @property
    def is_node(self) -> bool:
        return self.scope == NODE_SCOPE

    @property
    def run_key(self) -> int:
        """The 64-bit number of the run."""
        return fingerprint(self.project, self.run_id)
