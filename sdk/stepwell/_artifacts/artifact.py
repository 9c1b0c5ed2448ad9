"""`Artifact`: what scripts build and hand over. Its files are not kept yet.

Every call that builds one works and can be chained; the calls that would need the stored files
raise.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from stepwell._artifacts.reading import ReadingCalls
from stepwell._artifacts.versions import VersionFacts
from stepwell.errors import UsageError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub


class Artifact(ReadingCalls):
    """A named thing with files: a draft that a script builds, or a version that exists."""

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
    ) -> None:
        self._name, self.type = name, type
        self.description = description
        self.metadata = dict(metadata or {})
        self.incremental = incremental
        self.aliases: list[str] = []
        self.tags: list[str] = []
        self.ttl: Any = None
        self._facts: VersionFacts | None = None
        self._hub: Hub | None = None

    @classmethod
    def _of(cls, facts: VersionFacts, hub: "Hub | None" = None) -> "Artifact":
        """Return the artifact of a version that exists."""
        made = cls(facts.name, facts.type, facts.description, dict(facts.metadata))
        made._settle(facts, hub)
        return made

    def _settle(self, facts: VersionFacts, hub: "Hub | None" = None) -> None:
        """Become the version that ``facts`` describe."""
        self._facts, self._hub = facts, hub or self._hub
        self.aliases = list(facts.aliases)

    @property
    def name(self) -> str:
        """``name:v3``; the name alone before the version is committed."""
        return f"{self._name}:{self._facts.version}" if self._facts else self._name

    @property
    def version(self) -> str:
        return self._committed("version").version

    def _committed(self, what: str) -> VersionFacts:
        if self._facts is None:
            raise UsageError(f"artifact {self._name!r} has no {what} before it is committed")
        return self._facts

    def add_file(
        self,
        local_path: Any,
        name: str | None = None,
        is_tmp: bool = False,
        skip_cache: bool = False,
        policy: str = "mutable",
        overwrite: bool = False,
    ) -> None:
        """Name one file of the artifact."""

    def add_dir(
        self,
        local_path: Any,
        name: str | None = None,
        skip_cache: bool = False,
        policy: str = "mutable",
        merge: bool = True,
    ) -> None:
        """Name a folder of the artifact."""

    def add(self, obj: Any, name: str, overwrite: bool = False) -> None:
        """Name an object of the artifact, such as a table."""

    def add_reference(
        self,
        uri: Any,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> list[Any]:
        """Name a file in another place."""
        return []

    def remove(self, item: Any) -> None:
        """Forget a file that was named before."""

    @contextlib.contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None
    ) -> Iterator[IO[Any]]:
        """Yield a file to write into; it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="stepwell-artifact-") as folder:
            path = os.path.join(folder, os.path.basename(name) or "file")
            with open(path, mode, encoding=encoding) as file:
                yield file

    def wait(self, timeout: int | None = None) -> "Artifact":
        return self

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Keep what was changed of a version that exists."""
        if self._facts is not None:
            self._save_changes()

    def finalize(self) -> None:
        """No effect."""

    def is_draft(self) -> bool:
        return False

    def link(self, target_path: str, aliases: Any = None) -> "Artifact":
        return self

    def __repr__(self) -> str:
        return f"<artifact {self.name} ({self.type}), not kept>"
