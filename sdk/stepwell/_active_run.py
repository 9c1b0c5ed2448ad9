"""The part of a run that the modules below `Run` use."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from stepwell._memory import Memory
    from stepwell._recording import Recording
    from stepwell._writer import Writer
    from stepwell_wire.exit_note import Ending


class ActiveRun(Protocol):
    """A run that is not finished; see `Run`."""

    _copy_id: str
    _memory: "Memory"
    _rank: int
    _recording: "Recording"
    _writer: "Writer"

    @property
    def id(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def sweep_id(self) -> str | None: ...
    @property
    def finished(self) -> bool: ...
    def flush(self, timeout: float = 30.0) -> bool: ...
    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None: ...
    def _finish(self, ending: "Ending | None", *, quiet: bool | None = None) -> None: ...
    def log_artifact(self, artifact_or_path: Any) -> Any: ...
    def link_artifact(self, artifact: Any, target_path: str, aliases: Any = None) -> Any: ...
