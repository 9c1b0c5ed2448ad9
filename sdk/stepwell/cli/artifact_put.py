"""`stepwell artifact put`: logs files in a new run, and waits for the version."""

import argparse
import json
import os
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli import daemon_client, daemon_process
from stepwell.cli.artifact_lines import facts_of, print_facts, print_notice
from stepwell.cli.errors import OK, UNREACHABLE, USAGE, CommandError
from stepwell.cli.options import Places, places

if TYPE_CHECKING:
    from stepwell import Artifact
    from stepwell._artifacts.versions import ArtifactPath

_JOB_TYPE: Final = "artifact-put"


def put(options: argparse.Namespace) -> int:
    """Log the files that ``options`` name; checks everything possible first."""
    import stepwell
    from stepwell._artifacts.versions import parse_artifact_path
    from stepwell_wire.artifact_names import check_alias

    path = parse_artifact_path(options.name, default_project=os.environ.get("STEPWELL_PROJECT", ""))
    if ":" in options.name:
        raise CommandError("the hub chooses the version number; give aliases with --alias", USAGE)
    for each in options.alias:
        check_alias(each)
    artifact = stepwell.Artifact(
        path.name, options.type, options.description, _metadata(options.metadata)
    )
    _add(artifact, options.paths)
    _ensure_daemon(places(options))
    _check_type(path, options.type)
    with stepwell.init(
        path.project, job_type=_JOB_TYPE, settings={"console": False, "silent": True}
    ) as run:
        run.log_artifact(artifact, aliases=options.alias)
        try:
            artifact.wait()
        except KeyboardInterrupt:
            print_notice(
                f"stopped waiting; the daemon still commits {path.project}/{path.name}, "
                "`stepwell status` shows the progress"
            )
            raise
        if artifact._existing("run").run_id != run.id:
            aliases = ", ".join(artifact.aliases)
            unkept = artifact._unkept()
            print_notice(
                f"no new version: {artifact.qualified_name} ({aliases}) has the same files"
                + (f"; it keeps its own {unkept}" if unkept else "")
            )
    print_facts(options, facts_of(artifact), artifact.qualified_name)
    return OK


def _ensure_daemon(where: Places) -> None:
    """Start a daemon if none answers: without one no version would be made.

    An offline run needs none, and `STEPWELL_NO_DAEMON` forbids to start one.

    Raises:
        CommandError: No daemon answers, and none may be started or it does not start.
    """
    from stepwell._settings import read_settings

    settings = read_settings({})
    if settings.mode in ("offline", "disabled"):
        return
    if settings.no_daemon:
        if not daemon_client.is_answered(where.socket):
            raise daemon_client.no_daemon(where.socket)
    elif reason := daemon_process.ensure_personal(where):
        raise CommandError(
            f"no daemon on {where.socket}: {reason}; nothing was logged", UNREACHABLE
        )


def _add(artifact: "Artifact", paths: list[str]) -> None:
    """Hold the files.

    Raises:
        CommandError: Two would have one name, or there are none.
    """
    named: dict[str, str] = {}
    for each in paths:
        name = os.path.basename(os.path.abspath(each))
        if name in named:
            raise CommandError(
                f"{named[name]} and {each} have the same name in the artifact, {name!r}; "
                "rename one, or put the folder that contains both",
                USAGE,
            )
        named[name] = each
        if os.path.isdir(each):
            artifact.add_dir(each, None if len(paths) == 1 else name)
        else:
            artifact.add_file(each)
    if not artifact._files.entries:
        raise CommandError(f"{', '.join(paths)}: no files there; no version was logged", USAGE)


def _check_type(path: "ArtifactPath", kind: str) -> None:
    """Refuse another type than the artifact has; checked only if a hub already answers.

    Raises:
        ArtifactPathError: It is of another type.
    """
    from stepwell.api import Api
    from stepwell.api._artifacts import find_collection
    from stepwell.errors import HubError, HubUnreachableError

    try:
        find_collection(Api()._hub, path.project, path.name, kind=kind)
    except (HubUnreachableError, HubError):
        return  # There is no version yet, or the daemon reports it later.


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise CommandError(f"--metadata: invalid JSON ({error})", USAGE) from error
    if not isinstance(found, dict):
        raise CommandError("--metadata: expected a JSON object, such as '{\"rows\": 100}'", USAGE)
    return found
