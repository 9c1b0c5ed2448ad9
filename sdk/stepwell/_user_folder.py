"""`run.dir`: the folder for files that a script keeps beside its run. stepwell deletes none."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER: Final = "stepwell-files"
"""Not `stepwell`: a folder of that name in the working folder can hide the package."""
_NOT_IN_A_NAME: Final = re.compile(r"[^\w.-]")


def absolute(given: object) -> Path:
    """Return ``given``, or the working folder, as an absolute path if it is possible."""
    path = Path(str(given or ".")).expanduser()
    try:
        return path.absolute()
    except OSError:  # The working folder was deleted: `run.dir` then is a temporary folder.
        return path


def folder_name(run_id: str, started_at: float, *, is_offline: bool) -> str:
    """Return the name of the folder of one start of a run."""
    started = time.strftime("%Y%m%d_%H%M%S", time.localtime(started_at))
    return f"{'offline-run' if is_offline else 'run'}-{started}-{run_id}"


def last_folder_name(rank: int, label: str, pid: int) -> str:
    """Return the name of the writer's folder below the run's: several may start in one second.

    Several may have one label, too, so the label alone does not name a folder.
    """
    if rank == 0 or (rank < 0 and not label):
        return "files"
    own = f"rank{rank}" if rank > 0 else str(pid)
    if label.rpartition("-")[2] != own:  # A generated label ends so, see `_choose_label`.
        label = f"{label}-{own}" if label else own
    return "files-" + _NOT_IN_A_NAME.sub("_", label)


class UserFolder:
    """A folder that is made at its first use.

    Attributes:
        path: the folder; relative if it is made below a temporary folder.
    """

    def __init__(self, path: Path, *, is_temporary: bool, say: Callable[[str], None]) -> None:
        self.path = path
        self._is_temporary = is_temporary
        self._is_made = False
        self._say = say

    @property
    def has_files(self) -> bool:
        """Whether this process made the folder, and something is in it."""
        return self._is_made and any(self.path.glob("*"))

    def make(self) -> None:
        """Make the folder, below a temporary one if it must."""
        if self._is_made:
            return
        if self._is_temporary:
            self.path = self._temporary() / self.path
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._say(
                f"{self.path}: {error.strerror or error}; the run's files go to a temporary folder"
            )
            self.path = self._temporary() / "files"
            self.path.mkdir(parents=True, exist_ok=True)
        self._is_made = True

    @staticmethod
    def _temporary() -> Path:
        import tempfile

        return Path(tempfile.mkdtemp(prefix="stepwell-files-"))
