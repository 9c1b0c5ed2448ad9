"""The calls of a run that read artifacts, and note that the run uses them.

Modules for HTTP are imported by the first of these calls, not with the package.
"""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stepwell._artifacts.run_calls import LoggingCalls
from stepwell._names import kind_of
from stepwell.errors import (
    ArtifactPathError,
    NotFoundError,
    OfflineError,
)
from stepwell_wire.artifact_names import version_number

if TYPE_CHECKING:
    from stepwell._artifacts.artifact import Artifact
    from stepwell._artifacts.versions import ArtifactPath, VersionFacts
    from stepwell._hub_client import Hub


class UsingCalls(LoggingCalls):
    """The methods of a run that use artifacts; `Run` is the only subclass."""

    _asked: "Hub | None" = None

    def use_artifact(
        self,
        artifact_or_name: "str | Artifact",
        type: str | None = None,
        aliases: Iterable[str] | None = None,
        use_as: str | None = None,
    ) -> "Artifact":
        """Return a version of an artifact, and note that this run uses it.

        Waits for versions of this name that this machine still commits.

        Args:
            artifact_or_name: NAME, NAME:ALIAS, PROJECT/NAME:v3, ENTITY/PROJECT/NAME:v3, or an
                `Artifact`; one that was not logged is logged by this run first.
            type: the type that it must have.
            aliases: aliases of an artifact that is logged here.
            use_as: accepted for old code; without effect.

        Raises:
            NotFoundError: There is no such version.
            ArtifactPathError: The name is invalid, or the version is of another type.
            ArtifactFailedError: A version that is waited for cannot be made.
            WaitTimeoutError: The daemon that must make it does not answer for a minute.
            OfflineError: The run is offline.
            HubError: The hub does not answer, or refuses.
        """
        from stepwell._artifacts.artifact import Artifact
        from stepwell._artifacts.versions import parse_artifact_path

        if isinstance(artifact_or_name, Artifact):
            shown = artifact_or_name.name
        elif isinstance(artifact_or_name, str):
            shown = artifact_or_name
        else:
            raise TypeError(
                f"use_artifact(): expected a name or an Artifact, not {kind_of(artifact_or_name)}"
            )
        if self._settings.mode == "offline":
            raise OfflineError(
                f"use_artifact({shown!r}): an offline run sends no requests to the hub; use "
                "mode='online', or read the files from their source"
            )
        if self._settings.mode == "disabled":
            return self._of_disabled(artifact_or_name, type, aliases)
        if isinstance(artifact_or_name, Artifact):
            facts = self._logged(artifact_or_name, type, aliases)
        else:
            path = parse_artifact_path(artifact_or_name, default_project=self.project)
            facts = self._found(path, type)
        hub = self._hub_of_run()
        hub.post(f"{facts.path}/uses", {"run_id": self.id, "project": self.project})
        if isinstance(artifact_or_name, Artifact):
            return artifact_or_name
        return Artifact._of(facts, hub)

    def use_model(self, name: str) -> str:
        """Use an artifact of a type that has "model" in it; return its file, or its folder.

        Raises:
            ArtifactPathError: It is of another type. As `use_artifact` and `Artifact.download`.
        """
        artifact = self.use_artifact(name, "model" if self.disabled else None)
        if "model" not in artifact.type.lower():
            raise ArtifactPathError(
                f"{artifact.name} is of type {artifact.type!r}, but use_model() needs a type "
                f"with 'model' in its name; use use_artifact({name!r}).download()"
            )
        folder = artifact.download()
        paths = list(artifact.manifest.entries)
        return os.path.join(folder, paths[0]) if len(paths) == 1 else folder

    def _logged(
        self, artifact: "Artifact", kind: str | None, aliases: Iterable[str] | None
    ) -> "VersionFacts":
        if kind and artifact.type != kind:
            raise ArtifactPathError(f"{artifact.name} is of type {artifact.type!r}, not {kind!r}")
        if artifact.is_draft():
            self.log_artifact(artifact, aliases=aliases)
        return artifact.wait()._existing("version")

    def _found(self, path: "ArtifactPath", kind: str | None) -> "VersionFacts":
        from stepwell._artifacts.versions import find_version

        is_fixed = version_number(path.asked) is not None
        if is_fixed:  # An existing one does not change.
            try:
                return find_version(self._hub_of_run(), path, kind=kind)
            except NotFoundError:
                if not self._wait_for_drafts(path):
                    raise
        else:
            self._wait_for_drafts(path)
        return find_version(self._hub_of_run(), path, kind=kind)

    def _wait_for_drafts(self, path: "ArtifactPath") -> bool:
        """Wait for versions of this name that this machine commits; return whether any did.

        Raises:
            ArtifactFailedError: One of them cannot be made.
            WaitTimeoutError: The daemon that must make one does not answer.
        """
        from stepwell import _session
        from stepwell._artifacts.awaiting import Awaited

        handed = [each for run in list(_session.active) for each in list(run._recording.handed)]
        return Awaited(path, handed, socket=self._settings.socket, voice=self._voice).wait()

    def _hub_of_run(self) -> "Hub":
        if self._asked is None:
            from stepwell._hub import hub_of_run

            self._asked = hub_of_run(self._settings, self._voice)
        return self._asked

    def _of_disabled(
        self, given: "str | Artifact", kind: str | None, aliases: Iterable[str] | None
    ) -> "Artifact":
        """Return an artifact with the facts of a version; its files are not read."""
        from stepwell._artifacts.artifact import Artifact
        from stepwell._artifacts.versions import parse_artifact_path, stand_in

        if isinstance(given, Artifact):
            if given.is_draft():
                self.log_artifact(given, aliases=aliases)
            is_of_disabled = given._handed is not None and given._handed.stand_in is not None
            return given.wait() if is_of_disabled else given
        path = parse_artifact_path(given, default_project=self.project)
        named = () if version_number(path.asked) is not None else (path.asked,)
        facts = stand_in(path.project, path.name, kind or "unspecified", path.asked, aliases=named)
        return Artifact._of(facts)
