"""`wandb.Run`: stepwell's run with the attributes that scripts for Weights & Biases read."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import stepwell._run
from stepwell._later import tell_once

ENTITY_OF_NONE: Final = "local"
"""What `run.entity` is where none was named: other code makes paths of it."""


class Run(stepwell._run.Run):
    """What `wandb.init` returns."""

    def __init__(self, *arguments: Any, files_parent: Path | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._files_parent = files_parent or Path.cwd()
        self._files_dir: Path | None = None

    @property
    def dir(self) -> str:
        """The folder for files of the run; made when it is asked for. They stay there."""
        if self._files_dir is None:
            self._files_dir = self._make_files_dir()
            tell_once("dir", "the upload of files", self._voice.warn_once)
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

    @property
    def config_static(self) -> dict[str, Any]:
        return self.config.as_dict()

    @property
    def project_url(self) -> str | None:
        """The project's page, None while no page is known."""
        return None if self.url is None else self.url.rpartition("/runs/")[0] or None

    @property
    def sweep_id(self) -> None:
        return None

    @property
    def sweep_url(self) -> None:
        return None

    def project_name(self) -> str:
        return self.project

    def get_url(self) -> str | None:
        return self.url

    def get_project_url(self) -> str | None:
        return self.project_url

    def get_sweep_url(self) -> None:
        return None

    def join(self, exit_code: int | None = None) -> None:
        self.finish(exit_code=exit_code)

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Return False: notebooks show no page yet."""
        return False

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return a link to the run's page."""
        import html

        text = html.escape(self.name)
        return f'<a href="{html.escape(self.url)}">{text}</a>' if self.url else text

    def status(self) -> "RunStatus":
        return RunStatus()

    def write_logs(self, text: str) -> None:
        """Add ``text`` to the run's console."""
        print(text)

    def _label(self, code: str | None = None, repo: str | None = None, **more: Any) -> None:
        """Take what a framework says of itself; it is kept nowhere."""

    @property
    def _attach_id(self) -> str:
        """Everything that `wandb._attach` needs in another process, as text."""
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
                f"{made}: {error.strerror or error}; the run's files go to a temporary one"
            )
            made = _temporary() / "files"
            made.mkdir(parents=True, exist_ok=True)
        return made


class RunStatus:
    """What `Run.status` returns: what is logged is in the journal at once."""

    sync_items_total = 0
    sync_items_pending = 0
    sync_time = None


def attach(info: dict[str, Any]) -> Any:
    """See `stepwell._run.attach`; the run is one of this class."""
    parent = Path(info["files_parent"])

    def make(*arguments: Any, **named: Any) -> Run:
        return Run(*arguments, files_parent=parent, **named)

    return stepwell._run.attach(info, make)


def attach_by_id(attach_id: str) -> Any:
    """Return the run that `Run._attach_id` means."""
    return attach(json.loads(base64.urlsafe_b64decode(attach_id)))


def _temporary() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="wandb-"))
