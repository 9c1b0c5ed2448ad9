"""The calls of a run that log files."""

import errno
import os
import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from stepwell._later import warn_unavailable
from stepwell._names import text_of
from stepwell._run_facts import RunFacts
from stepwell.errors import ArtifactError, ArtifactFileError, UnavailableError
from stepwell_wire.artifact_names import artifact_name, run_files_name

if TYPE_CHECKING:
    from stepwell._artifacts.artifact import Artifact
    from stepwell._artifacts.saving import SavedFiles

_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class LoggingCalls(RunFacts):
    """The methods of a run that log artifacts; `Run` is the only subclass."""

    _saved: "SavedFiles | None" = None

    @cached_property
    def _handed_keys(self) -> dict[str, str]:
        """Names of the artifacts that this run handed over, by key."""
        return {}

    def log_artifact(
        self,
        artifact_or_path: Any,
        name: str | None = None,
        type: str | None = None,
        aliases: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
    ) -> "Artifact":
        """Hand an artifact over, and return it at once. The daemon makes its version.

        Args:
            artifact_or_path: an `Artifact`, or the path of a file or a folder, or an address
                (``s3://…``), to make one; its files are held before this returns.
            name: name of an artifact made from a path; default ``run-<id>-<file>``.
            type: type of such an artifact; default ``unspecified``.
            aliases: aliases for the version, beside ``latest``.
            tags: not kept.

        Raises:
            ArtifactFileError: There is no such file.
            ArtifactNameError: An invalid name, type or alias.
            RunFinishedError: The run has ended.
            ArtifactError: The files cannot be held.
        """
        from stepwell._artifacts.artifact import Artifact
        from stepwell._artifacts.handing import hand_over

        named = [aliases] if isinstance(aliases, str) else aliases
        try:
            artifact: Artifact
            if issubclass(artifact_or_path.__class__, Artifact):
                artifact = artifact_or_path
            else:
                artifact = self._artifact_of(artifact_or_path, name, type)
            self._warn_ignored(artifact, tags)
            handed = hand_over(self._recording, artifact, named)
            artifact._note_handed(handed)
            self._handed_keys[handed.key] = handed.name
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            space = "; free some space, or name another folder with STEPWELL_DIR"
            raise ArtifactError(
                "the artifact was not logged, as its files could not be copied or linked: "
                f"{where}{error.strerror or error}{space if is_full else ''}"
            ) from error
        return artifact

    def _warn_ignored(self, artifact: "Artifact", tags: Iterable[str] | None) -> None:
        if tags or artifact.tags:
            self._voice.warn_once("artifact tags", "tags of artifacts are not stored; use aliases")
        if artifact.ttl is not None:
            self._voice.warn_once(
                "artifact ttl",
                "artifact.ttl has no effect: versions are kept until `stepwell artifact rm` "
                "deletes them",
            )

    def log_model(
        self, path: Any, name: str | None = None, aliases: Iterable[str] | None = None
    ) -> None:
        """Log a file or a folder as an artifact of type ``model``; see `log_artifact`."""
        self.log_artifact(path, name, "model", aliases)

    def link_model(
        self,
        path: Any,
        registered_model_name: str,
        name: str | None = None,
        aliases: Iterable[str] | None = None,
    ) -> None:
        """Log a model as `log_model` does; it is not listed in a registry."""
        self._voice.warn_once(
            "link_model",
            "link_model() logs the artifact, but does not add it to the registry "
            f"{registered_model_name}",
        )
        self.log_model(path, name, aliases)

    def save(
        self,
        glob_str: Any = None,
        base_path: Any = None,
        policy: str = "live",
        glob: bool = True,
    ) -> list[str] | bool:
        """Keep files with the run: as the artifact ``run-<id>-files``.

        Args:
            glob_str: a path, or a pattern of paths. Without one nothing is kept and True returned,
                for older scripts that call ``save()`` after ``run.name = …``.
            base_path: paths in the artifact are relative to it. Default: the current folder. An
                absolute path keeps the name of its folder: ``/data/out/a.txt`` becomes
                ``out/a.txt``; a path in `run.dir` is relative to that.
            policy: ``now`` keeps the files as they are; ``live`` and ``end`` also as they are at
                the end of the run, with files that match the pattern only then.
            glob: whether ``*``, ``?`` and ``[`` make a pattern.

        Returns:
            The paths of the files that match now, and were kept.

        Raises:
            ValueError: An unknown policy, or a file that is not below ``base_path``.
        """
        if glob_str is None:
            return True
        from stepwell._artifacts.saving import SavedFiles

        if self._saved is None:
            self._saved = SavedFiles(
                run_files_name(self.id),
                self.log_artifact,
                self._voice.warn_once,
                lambda: self._user_folder.path,
            )
        return self._saved.add(os.fspath(glob_str), base_path, policy, is_pattern=glob)

    def upsert_artifact(self, *arguments: Any, **named: Any) -> Any:
        raise UnavailableError(
            "upsert_artifact(), one artifact of several processes",
            "let one process call log_artifact() with all files",
        )

    finish_artifact = upsert_artifact

    def _artifact_of(self, path: Any, name: str | None, type: str | None) -> "Artifact":
        from stepwell._artifacts.artifact import Artifact

        if not isinstance(path, str | os.PathLike):
            raise TypeError(
                f"log_artifact() takes an Artifact or a path, not {text_of(path)[:80]} of type "
                f"{path.__class__.__name__}"
            )
        source = os.fspath(path)
        file_name = os.path.basename(source.rstrip("/")) or "files"
        made = Artifact(name or artifact_name(f"run-{self.id}-{file_name}"), type or "unspecified")
        if os.path.isdir(source):
            made.add_dir(source)
        elif _ADDRESS.match(source):
            made.add_reference(source)
        elif os.path.lexists(source):
            made.add_file(source)
        else:
            raise ArtifactFileError(
                f"{source}: no such file or folder; log_artifact() needs an existing one"
            )
        return made

    def _report_failed(self) -> None:
        """At the end of the run, report artifacts whose version cannot be made."""
        recording = self._recording
        keys = list(self.__dict__.get("_handed_keys", ()))
        if not keys or self._voice.silent or recording.disabled:
            return
        if recording.settings.mode == "offline":
            return
        from stepwell._artifacts.handing import failures_of

        for key, reason in failures_of(recording.settings.socket, keys).items():
            self._voice.warn_once(
                f"artifact failed {key}",
                f"artifact {self._handed_keys[key]!r} was NOT logged, as creating its "
                f"version failed: {reason}",
            )

    def _save_last(self) -> None:
        """Keep the files that `save` must keep as they are at the end."""
        try:
            if self._saved is not None:
                self._saved.finish()
            elif not self.__dict__.get("_handed_keys") and self._user_folder.has_files:
                # A script for Weights & Biases may rely on their upload.
                warn_unavailable("dir", "the upload of files", self._voice.warn_once)
        except Exception as error:  # The end of a run must not fail on a file that is gone.
            self._voice.warn_once(
                "save", f"save(): the final state of the files was not kept: {error}"
            )
