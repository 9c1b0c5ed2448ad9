"""Who wrote a stretch of records, as far as the tables need to know."""

from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.identity import fingerprint

NODE_SCOPE: Final = "node"


@dataclass(frozen=True, slots=True)
class WriterInfo:
    """One writer: a process that logs into a run, or a daemon that samples its node.

    Attributes:
        label: tells apart the writers of a run; empty where there is one only.
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
        """Return the writer that a hello, a journal or a staged file describes."""
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
