"""Calls of an existing artifact: its files, and the runs that logged and used it."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwell._artifacts.versions import VersionFacts, facts_of
from stepwell._hub_client import path_of
from stepwell._later_names import LaterNames
from stepwell._names import silent
from stepwell.errors import HubError, NotFoundError, UnavailableError, UsageError, VerificationError
from stepwell_wire.artifact_names import LATEST
from stepwell_wire.hub_access import page_path

if TYPE_CHECKING:
    from typing import Self

    from stepwell._artifacts.entries import ArtifactFile, Entry
    from stepwell._artifacts.handed import Handed
    from stepwell._hub_client import Hub
    from stepwell.api._run import Run
    from stepwell_wire.manifest import Manifest

_NAMED = 3
_ALIASED = "version_aliased"


_LATER: Final = {
    **dict.fromkeys(
        ("collection", "source_collection"), "use Api().artifact_collection(type, name)"
    ),
    "commit_hash": "use digest",
    "digest_algorithm": "digests are BLAKE3",
    "distributed_id": "add all files in one process, or log a version in each",
    "get_added_local_path_name": "use the name that you gave to add_file()",
    "history_step": "keep the step in its metadata: Artifact(name, type, metadata={'step': …})",
    "json_encode": "log it with run.log_artifact(), not as a value",
    "new_draft": "make an Artifact of the same name and type, and add all files of the version",
    "unlink": "a hub has no registries; delete() deletes the version",
}


class ReadingCalls(LaterNames):
    """The reading half of `Artifact`, its only subclass.

    Attributes:
        _facts: facts of the version, None for a draft that is not committed.
        _hub: the hub that has it, None until it is needed.
        _handed: its draft if it was logged here, None if it was read from a hub.
    """

    description: str | None
    metadata: dict[str, Any]
    aliases: list[str]
    _facts: VersionFacts | None
    _hub: "Hub | None"
    _handed: "Handed | None"
    _read: "Manifest | None" = None
    _whose, _later = "an artifact's", _LATER
    incremental = is_link = False
    linked_at = use_as = None

    @classmethod
    def _of(cls, facts: VersionFacts, hub: "Hub | None" = None) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        raise NotImplementedError

    def _committed(self, what: str) -> VersionFacts:
        raise NotImplementedError

    def _existing(self, what: str) -> VersionFacts:
        """Return the facts of a version that a hub has, so not of a disabled run."""
        raise NotImplementedError

    def _settle(self, facts: VersionFacts, hub: "Hub | None" = None) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------ what it is

    @property
    def id(self) -> str | None:
        """The version's id in the hub, None before it is committed and in a disabled run."""
        return (self._facts.id or None) if self._facts else None

    @property
    def project(self) -> str:
        return self._committed("project").project

    source_project = project

    @property
    def entity(self) -> str:
        return ""

    source_entity = entity

    @property
    def source_name(self) -> str:
        return self.name

    @property
    def qualified_name(self) -> str:
        """``PROJECT/NAME:v3``."""
        return f"{self.project}/{self.name}"

    source_qualified_name = qualified_name

    @property
    def source_artifact(self) -> "Self":
        return self

    @property
    def linked_artifacts(self) -> "list[Self]":
        """No others: there are no registries."""
        return []

    @property
    def source_version(self) -> str:
        return self._committed("version").version

    @property
    def digest(self) -> str:
        """BLAKE3 of the manifest: paths and contents alone; "" in a disabled run."""
        return self._committed("digest").digest

    @property
    def size(self) -> int:
        """Bytes of all files whose size is known."""
        return self._committed("size").size

    @property
    def file_count(self) -> int:
        return self._committed("count of files").file_count

    @property
    def created_at(self) -> str | None:
        """When it was logged, ISO 8601 in UTC."""
        from stepwell.api._times import moment_text

        return moment_text(self._committed("time").created_at)

    @property
    def updated_at(self) -> str | None:
        """When it was committed, ISO 8601 in UTC."""
        from stepwell.api._times import moment_text

        return moment_text(self._committed("time").committed_at)

    @property
    def url(self) -> str:
        """Its page, "" in a disabled run."""
        facts = self._committed("page")
        if facts.is_stand_in:
            return ""
        place = path_of("artifacts", facts.name, facts.version)
        return f"{self._find_hub().url}{page_path(facts.project)}{place}"

    @property
    def manifest(self) -> "Manifest":
        """Its checked entries by path; read once."""
        from stepwell._artifacts.entries import read_manifest

        facts = self._existing("files")
        if self._read is None:
            self._read = read_manifest(self._find_hub(), facts)
        return self._read

    # ------------------------------------------------------------------ files

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | os.PathLike[str] | None = None,
        multipart: bool | None = None,
    ) -> str:
        """Fetch its files, in parallel, and return their folder.

        Existing files with the right size and digest are not fetched again; a partial file is
        continued. Other files in the folder stay.

        Args:
            root: the folder; default ``./artifacts/NAME:v3``.
            allow_missing_references: leave out files that are stored elsewhere.
            skip_cache, multipart: accepted for old code; without effect.
            path_prefix: only files whose path begins with this.

        Raises:
            DownloadError: A file cannot be fetched, is damaged, or its path is taken.
            HubError: The hub refuses.
        """
        from stepwell._artifacts.download import default_root, download

        facts = self._existing("files")
        return download(
            self._find_hub(),
            self.manifest,
            default_root(facts) if root is None else os.fspath(root),
            path_prefix=os.fspath(path_prefix or ""),
            allow_missing_references=allow_missing_references,
        )

    def checkout(self, root: str | os.PathLike[str] | None = None) -> str:
        """Fetch its files, and delete all others from the folder; see `download`."""
        from stepwell._artifacts.download import default_root
        from stepwell._artifacts.target import Target
        from stepwell._artifacts.verifying import compare

        folder = default_root(self._existing("files")) if root is None else os.fspath(root)
        made = self.download(folder)
        extra = compare(self.manifest, made).extra
        with Target(made, self.manifest.entries, creates=False) as target:
            for path in extra:
                target.remove(path)
        return made

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Fetch the only file of an artifact, and return its path.

        Raises:
            UsageError: It has no file, or more than one.
        """
        paths = list(self.manifest.entries)
        if len(paths) != 1:
            raise UsageError(
                f"{self.name} has {len(paths)} files, but file() needs exactly one; use "
                "download() for all, or get_entry(path).download() for one of them"
            )
        return self.get_entry(paths[0]).download(root)

    def verify(self, root: str | os.PathLike[str] | None = None) -> None:
        """Compare the files of a folder, by default that of `download`, with the artifact's.

        Raises:
            VerificationError: Files are missing, changed, or not in the artifact.
        """
        from stepwell._artifacts.download import default_root
        from stepwell._artifacts.verifying import compare

        folder = default_root(self._existing("files")) if root is None else os.fspath(root)
        found = compare(self.manifest, folder)
        if found:
            said = (
                f"{what}: {', '.join(paths[:_NAMED])}{' …' if len(paths) > _NAMED else ''}"
                for what, paths in found._asdict().items()
                if paths
            )
            raise VerificationError(f"{folder} differs from {self.name}; {'; '.join(said)}")

    def get_entry(self, name: str | os.PathLike[str]) -> "Entry":
        """Return one file.

        Raises:
            NotFoundError: It has no file of this path.
        """
        from stepwell._artifacts.entries import entry_of

        facts = self._existing("files")
        return entry_of(self._find_hub(), facts, self.manifest, os.fspath(name))

    get_path = get_entry

    def get(self, name: str) -> Any:
        raise UnavailableError(
            f"reading {name!r} of artifact {self.name!r} as an object",
            f"read the file: get_entry({name!r}).download()",
        )

    def files(self, names: Sequence[str] | None = None, per_page: int = 50) -> "list[ArtifactFile]":
        """Return its files by path, all or those of these names."""
        from stepwell._artifacts.entries import files_of

        facts = self._existing("files")
        return files_of(self._find_hub(), facts, self.manifest, names)

    # ------------------------------------------------------------------ runs

    def logged_by(self) -> "Run | None":
        """Return the first run that logged it, of those that were not deleted; None without one."""
        facts = self._committed("run")
        if facts.is_stand_in:
            return None
        self._await_rows()
        run = self._run(facts.project, facts.run_id) if facts.run_id else None
        return run or next(self._runs_that("logged", facts), None)

    def used_by(self) -> "list[Run]":
        """Return the runs that used it, 1,000 at most; deleted ones are left out."""
        facts = self._committed("runs")
        if facts.is_stand_in:
            return []
        self._await_rows()
        return list(self._runs_that("used", facts))

    def _runs_that(self, kind: str, facts: VersionFacts) -> "Iterator[Run]":
        found = self._find_hub().get(f"{facts.path}/lineage", depth=1, limit=1000)
        runs = {node["id"]: node for node in found["nodes"] if node["kind"] == "run"}
        end = "source" if kind == "logged" else "target"
        for edge in found["edges"]:
            node = runs[edge[end]] if edge["kind"] == kind else None
            if node is None or node["is_deleted"]:
                continue
            if (run := self._run(node["project"], node["name"])) is not None:
                yield run

    def _await_rows(self) -> None:
        """Wait for the rows of runs: the hub knows of a use before it has the run that used it."""
        from stepwell.api._awaiting import await_rows

        await_rows(self._find_hub())

    def _run(self, project: str, run_id: str) -> "Run | None":
        from stepwell.api._run import Run

        hub = self._find_hub()
        try:
            facts = hub.ask("GET", "projects", project, "runs", run_id)
        except NotFoundError:
            return None
        return Run(hub, facts, type(self)._of)

    # ------------------------------------------------------------------ changes

    def _save_changes(self) -> None:
        """Save the current description, metadata and aliases.

        Raises:
            HubError: The hub refuses, for example to move ``latest``.
        """
        facts = self._committed("version")
        if facts.is_stand_in:
            return
        hub = self._find_hub()
        change: dict[str, Any] = {}
        if (self.description or "") != facts.description:
            change["description"] = self.description or ""
        if self.metadata != dict(facts.metadata):
            from stepwell._json_values import as_finite_json

            change["metadata"] = as_finite_json(self.metadata, silent)
        if change:
            hub.call("PATCH", facts.path, change)
        wanted, had = dict.fromkeys(self.aliases), dict.fromkeys(facts.aliases)
        place = path_of("projects", facts.project, "artifacts", facts.name, "aliases")
        for alias in wanted:
            if alias not in had:
                hub.call("PUT", place + path_of(alias), {"version": facts.version})
        for alias in had:
            if alias not in wanted and alias != LATEST:
                hub.call("DELETE", place + path_of(alias))
        self._settle(facts_of(hub.get(facts.path)), hub)

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete the version; its number is not used again.

        Args:
            delete_aliases: delete it also while it has aliases.

        Raises:
            HubError: It has aliases.
        """
        facts = self._committed("version")
        if facts.is_stand_in:
            return
        force = "?force=true" if delete_aliases else ""
        try:
            self._find_hub().call("DELETE", facts.path + force)
        except HubError as error:
            if error.code != _ALIASED:
                raise
            raise HubError(
                f"{self.name} has the aliases {', '.join(facts.aliases)}; move them first, "
                "or pass delete(delete_aliases=True)",
                error,
                code=error.code,
                status=error.status,
            ) from error

    def link(self, target_path: str, aliases: Any = None) -> Any:
        """Print once in a run that there are no registries; return the artifact unchanged."""
        from stepwell import _session

        if (run := _session.current()) is not None:
            run.link_artifact(self, target_path, aliases)
        return self

    def _find_hub(self) -> "Hub":
        if self._hub is None and self._handed is not None:
            from stepwell._hub import hub_of_run

            recording = self._handed.recording
            self._hub = hub_of_run(recording.settings, recording.voice)
        elif self._hub is None:
            from stepwell._hub import find_hub

            self._hub = find_hub()
        return self._hub
