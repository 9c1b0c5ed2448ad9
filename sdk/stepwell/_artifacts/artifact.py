"""`Artifact`: scripts build and log it, and get one for an existing version."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from stepwell._argument_names import checks_names_of_calls
from stepwell._artifacts.files import DraftFiles
from stepwell._artifacts.handed import Handed
from stepwell._artifacts.reading import ReadingCalls
from stepwell._artifacts.references import references_of
from stepwell._artifacts.versions import VersionFacts
from stepwell._names import silent, text_of
from stepwell.errors import (
    ArtifactFileError,
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    UnavailableError,
)
from stepwell_wire.artifact_names import check_name, check_type
from stepwell_wire.staged import new_id

if TYPE_CHECKING:
    from stepwell._hub_client import Hub


@checks_names_of_calls
class Artifact(ReadingCalls):
    """A named set of files: a draft that a script builds, or an existing version.

    The call that adds a file holds it: as a clone, a hard link or a copy. Its path may then be
    deleted or replaced. A file that is changed in place fails the version.

    Args:
        name: letters (A to Z), digits, ``-``, ``_`` and ``.``, at most 128.
        type: all versions of a name have one type.
        metadata: values as in a config, at most 1 MiB as JSON.
        incremental, use_as, storage_region: accepted for old code; without effect, but
            ``incremental=True`` is refused.

    Raises:
        ValueError: An invalid name or type.
    """

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
        check_name(name)
        check_type(type)
        if incremental:
            raise UnavailableError(
                f"Artifact({name!r}, incremental=True)", "add all files of the version"
            )
        self.type = type
        self.description = description
        self.metadata = dict(metadata or {})
        self.aliases: list[str] = []
        self.tags: list[str] = []
        self.ttl: Any = None
        self._name = name
        self._key = new_id()
        self._files = DraftFiles(self._key)
        self._handed: Handed | None = None
        self._is_pending = False
        self._logged: tuple[Any, str] = ({}, "")
        """Metadata and description, as they were logged."""
        self._facts: VersionFacts | None = None
        self._hub: Hub | None = None

    @classmethod
    def _of(cls, facts: VersionFacts, hub: "Hub | None" = None) -> "Artifact":
        """Return the artifact of an existing version."""
        made = cls(facts.name, facts.type, facts.description, dict(facts.metadata))
        made._settle(facts, hub)
        return made

    def _settle(self, facts: VersionFacts, hub: "Hub | None" = None) -> None:
        """Become the version that ``facts`` describe."""
        self._facts = facts
        self._hub = hub or self._hub
        self.aliases = list(facts.aliases)

    # ------------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """``name:v3``; the name alone before the version is committed."""
        return f"{self._name}:{self._facts.version}" if self._facts else self._name

    @property
    def version(self) -> str:
        """``v3``.

        Raises:
            ArtifactNotLoggedError: The version is not committed yet; `wait` for it.
        """
        return self._committed("version").version

    @property
    def state(self) -> str:
        """``DRAFT``, ``PENDING`` once it was logged, or ``COMMITTED``."""
        if self._facts is not None:
            return "COMMITTED"
        return "DRAFT" if self._handed is None else "PENDING"

    def is_draft(self) -> bool:
        """Return whether files can still be added."""
        return self._facts is None and self._handed is None

    def _committed(self, what: str) -> VersionFacts:
        if self._facts is None:
            how = "log it with run.log_artifact()" if self._handed is None else "call wait() first"
            raise ArtifactNotLoggedError(
                f"artifact {self._name!r} has no {what} before its version is committed; {how}"
            )
        return self._facts

    def _existing(self, what: str) -> VersionFacts:
        facts = self._committed(what)
        if facts.is_stand_in:
            raise ArtifactNotLoggedError(
                f"artifact {self.name!r} has no {what} to read, as its run is disabled; start the "
                "run with mode='online', or read the files from their source"
            )
        return facts

    # ------------------------------------------------------------------ building

    def add_file(
        self,
        local_path: Any,
        name: str | None = None,
        is_tmp: bool = False,
        skip_cache: bool = False,
        policy: str = "mutable",
        overwrite: bool = False,
    ) -> None:
        """Hold a file as ``name``, by default its own name.

        Args:
            is_tmp, skip_cache, policy: accepted for old code; without effect.
            overwrite: whether to replace another file of that name.

        Raises:
            ArtifactFileError: There is no such file, or the name is taken.
            ArtifactFinalizedError: The artifact was logged.
        """
        self._check_open("add_file()")
        source = os.fspath(local_path)
        self._files.add_file(source, name or os.path.basename(source), overwrite=overwrite)

    def add_dir(
        self,
        local_path: Any,
        name: str | None = None,
        skip_cache: bool = False,
        policy: str = "mutable",
        merge: bool = True,
    ) -> None:
        """Hold all files below a folder, below ``name`` or at the top; see `add_file`.

        Args:
            merge: whether to replace files that the artifact already has under the same name.
        """
        self._check_open("add_dir()")
        source = os.fspath(local_path)
        if not os.path.isdir(source):
            what = (
                ("not a folder; add a file with add_file()")
                if os.path.exists(source)
                else "missing"
            )
            raise ArtifactFileError(f"{source}: {what}; add_dir() needs an existing folder")
        self._files.add_folder(source, (name or "").strip("/"), merge=merge)

    def add(self, obj: Any, name: str, overwrite: bool = False) -> None:
        raise UnavailableError(
            f"add() of a {type(obj).__name__} to artifact {self._name!r}",
            "write it to a file and use add_file()",
        )

    def add_reference(
        self,
        uri: Any,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> list[str]:
        """Add a reference to bytes that are stored elsewhere; return their paths in the artifact.

        For ``file://`` addresses the size is noted, and a folder is walked. Other addresses are
        not contacted, so their size and checksum are unknown.

        Args:
            checksum: accepted for old code; without effect.
            max_objects: for a folder: a larger number of files is refused.

        Raises:
            ArtifactFileError: ``uri`` is invalid, or names a missing file.
        """
        self._check_open("add_reference()")
        found = references_of(text_of(uri), name, max_objects=max_objects)
        for path, reference in found.items():
            self._files.add_reference(path, reference)
        return list(found)

    def remove(self, item: Any) -> None:
        """Remove an added file, or all added files below a folder.

        Raises:
            FileNotFoundError: There is no such file.
        """
        self._check_open("remove()")
        self._files.remove(str(getattr(item, "path", item)).strip("/"))

    @contextlib.contextmanager
    def new_file(
        self, name: str, mode: str = "x", encoding: str | None = None
    ) -> Iterator[IO[Any]]:
        """Yield an open file that becomes ``name``; after an exception it does not.

        Args:
            mode: ``x``, ``w``, ``xb`` or ``wb``.
        """
        self._check_open("new_file()")
        if mode.replace("t", "") not in ("x", "w", "xb", "wb", "bx", "bw"):
            raise ValueError(f"new_file() takes mode 'x', 'w', 'xb' or 'wb', not {mode!r}")
        file, number = self._files.open_new(name, mode, encoding)
        try:
            with file:
                yield file
        except BaseException:
            self._files.drop_new(number)
            raise
        self._files.close_new(name, number)

    def _check_open(self, call: str) -> None:
        if not self.is_draft():
            raise ArtifactFinalizedError(
                f"artifact {self._name!r} was already logged, so {call} cannot change it; "
                f"create another Artifact({self._name!r}, …) for its next version"
            )

    # ------------------------------------------------------------------ after it was logged

    def wait(self, timeout: float | None = None) -> "Artifact":
        """Wait until the version is committed.

        Args:
            timeout: seconds; None: no limit.

        Raises:
            ArtifactNotLoggedError: It was not logged, or the run is offline.
            ArtifactFailedError: The version cannot be made; the message gives the reason.
            WaitTimeoutError: It is not committed yet.
        """
        if self._handed is None:
            self._committed("version")
        elif self._is_pending:
            facts = self._handed.wait(timeout)
            self._is_pending = False
            self._settle(facts)
            if unkept := self._unkept():
                self._handed.recording.voice.warn_once(
                    f"artifact {self.name} unkept",
                    f"artifact {self._name!r}: {self.name} has the same files and keeps its own "
                    f"{unkept}; artifact.save() stores this one's",
                )
        return self

    def _unkept(self) -> str:
        """Return ``metadata``, ``description`` or both if the version has other ones.

        They are those of an earlier version with the same files.
        """
        from stepwell._json_values import as_finite_json

        facts = self._committed("version")
        metadata, description = self._logged
        differs = {
            "metadata": metadata and metadata != as_finite_json(dict(facts.metadata), silent),
            "description": description and description != facts.description,
        }
        return " and ".join(name for name, other in differs.items() if other)

    def _note_handed(self, handed: Handed) -> None:
        """Note that the artifact was logged, for the first time or again."""
        from stepwell._json_values import as_finite_json

        self._logged = as_finite_json(self.metadata, silent), self.description or ""
        self._handed, self._is_pending = handed, True
        if self._facts is not None and self._facts.is_stand_in:
            self._facts = None  # Of a disabled run before.

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Log a draft in the current run; save changes of an existing version."""
        if self._facts is not None:
            self._save_changes()
            return
        from stepwell import _session
        from stepwell.errors import NoRunError

        run = _session.current()
        if run is None:
            raise NoRunError("Artifact.save()")
        run.log_artifact(self)

    def finalize(self) -> None:
        """No effect: an artifact is final when it is logged."""

    def __repr__(self) -> str:
        return f"<artifact {self.name} ({self.type}), {self.state.lower()}>"
