"""`wandb.Run`: stepwell's run with the attributes that scripts for Weights & Biases read."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import stepwell._run

ENTITY_OF_NONE: Final = "local"
"""The default of `run.entity`: other code makes paths of it."""


class Run(stepwell._run.Run):
    """The result of `wandb.init`."""

    _FILES_FOLDER = "wandb"

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

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Any], tuple[dict[str, Any]]]:
        return attach, (self._for_another_process(),)


def attach(info: dict[str, Any]) -> Any:
    """See `stepwell._run.attach`; the run is one of this class."""
    return stepwell._run.attach(info, Run)


def attach_by_id(attach_id: str) -> Any:
    """Return the run of a `Run._attach_id`."""
    return attach(json.loads(base64.urlsafe_b64decode(attach_id)))
