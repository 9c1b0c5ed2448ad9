"""What an artifact that exists can be asked: its files, and who made and used it."""

from typing import TYPE_CHECKING, Any

from stepwell._artifacts.versions import VersionFacts
from stepwell.errors import UnavailableError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_INSTEAD = "until then read the files from where they were written"


class ReadingCalls:
    """The reading half of `Artifact`, its only subclass.

    Attributes:
        _facts: of the version, None for a draft that is not committed.
        _hub: the hub that has it, None until it is needed.
    """

    name: str
    _facts: VersionFacts | None
    _hub: "Hub | None"

    def download(
        self,
        root: Any = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: Any = None,
        multipart: bool | None = None,
    ) -> str:
        raise UnavailableError(f"the download of artifact {self.name!r}", _INSTEAD)

    checkout = file = download

    def get_entry(self, name: Any) -> Any:
        raise UnavailableError(f"reading {name!r} of artifact {self.name!r}", _INSTEAD)

    get = get_path = get_entry

    def files(self, names: Any = None, per_page: int = 50) -> Any:
        raise UnavailableError(f"the files of artifact {self.name!r}", _INSTEAD)
