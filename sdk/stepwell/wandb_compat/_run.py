"""`wandb.Run`: stepwell's run with the attributes that scripts for Weights & Biases read."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import stepwell._run
from stepwell._later import warn_unavailable
from stepwell.wandb_compat import _environment

ENTITY_OF_NONE: Final = "local"
"""The default of `run.entity`: other code makes paths of it."""


class Run(stepwell._run.Run):
    """The result of `wandb.init`."""

    def __init__(self, *arguments: Any, files_parent: Path | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._files_parent = files_parent or _environment.files_parent(None)
        self._files_dir: Path | None = None

    @property
    def dir(self) -> str:
        """The folder for files of the run; made at the first use. The files stay there."""
        if self._files_dir is None:
            self._files_dir = self._make_files_dir()
            warn_unavailable("dir", "the upload of files", self._voice.warn_once)
        return str(self._files_dir)

    @property
    def sync_dir(self) -> str:
        return str(Path(self.dir).parent)

    @property
    def entity(self) -> str:
        return super().entity or ENTITY_OF_NONE

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.id}"

    def _label(self, code: str | None = None, repo: str | None = None, **more: Any) -> None:
        """No effect: a framework's data about itself is not kept."""

    @property
    def _attach_id(self) -> str:
        """The data that `wandb._attach` needs in another process, as text."""
        held = json.dumps(self._for_another_process(), default=str)
        return base64.urlsafe_b64encode(held.encode()).decode()

    def _for_another_process(self) -> dict[str, Any]:
        return {**super()._for_another_process(), "files_parent": str(self._files_parent)}

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Any], tuple[dict[str, Any]]]:
        return attach, (self._for_another_process(),)

    def _make_files_dir(self) -> Path:
        parent = self._files_parent
        if self.disabled:
            parent = _temporary()
        started = time.strftime("%Y%m%d_%H%M%S", time.localtime(self.start_time))
        kind = "offline-run" if self.offline else "run"
        made = parent / "wandb" / f"{kind}-{started}-{self.id}" / "files"
        try:
            made.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._voice.say(
                f"{made}: {error.strerror or error}; the run's files go to a temporary folder"
            )
            made = _temporary() / "files"
            made.mkdir(parents=True, exist_ok=True)
        return made


def attach(info: dict[str, Any]) -> Any:
    """See `stepwell._run.attach`; the run is one of this class."""
    parent = Path(info["files_parent"])

    def make(*arguments: Any, **named: Any) -> Run:
        return Run(*arguments, files_parent=parent, **named)

    return stepwell._run.attach(info, make)


def attach_by_id(attach_id: str) -> Any:
    """Return the run of a `Run._attach_id`."""
    return attach(json.loads(base64.urlsafe_b64decode(attach_id)))


def _temporary() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="wandb-"))
