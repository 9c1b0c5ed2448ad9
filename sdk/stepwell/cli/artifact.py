"""`stepwell artifact …`: lists artifacts, fetches one, checks what was fetched, logs files."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.errors import FAILED, OK, USAGE, CommandError
from stepwell.cli.hub_answers import hub_errors
from stepwell.cli.options import add_json
from stepwell.cli.text import bytes_text, counted, plain

if TYPE_CHECKING:
    from stepwell import Artifact
    from stepwell.api import Api, ArtifactCollection

_SHOWN: Final = 10
_JOB_TYPE: Final = "artifact-put"
_NAME: Final = "PROJECT/NAME:v3 or PROJECT/NAME:ALIAS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ls = actions.add_parser("ls", help="list all artifacts, those of a project, or versions of one")
    ls.add_argument("place", nargs="?", metavar="PROJECT[/NAME]", default="")
    ls.add_argument("-t", "--type", help="only artifacts of this type")
    get = actions.add_parser("get", help="fetch a version's files, and print their folder")
    get.add_argument("name", metavar="NAME", help=_NAME)
    get.add_argument("--root", metavar="DIR", help="default: ./artifacts/NAME:v3")
    get.add_argument("-t", "--type", help="the type that it must have")
    get.add_argument("--prefix", default="", help="only files whose path begins so")
    get.add_argument(
        "--without-references", action="store_true", help="leave out files that are kept elsewhere"
    )
    verify = actions.add_parser("verify", help="read the files of a folder and compare them")
    verify.add_argument("name", metavar="NAME", help=_NAME)
    verify.add_argument("--root", metavar="DIR", help="default: ./artifacts/NAME:v3")
    put = actions.add_parser("put", help="log files or folders, and wait for the version")
    put.add_argument("paths", nargs="+", metavar="PATH")
    put.add_argument("-n", "--name", required=True, metavar="PROJECT/NAME")
    put.add_argument("-t", "--type", default="dataset", help="default: dataset")
    put.add_argument("-d", "--description", default="")
    put.add_argument("-a", "--alias", action="append", default=[], help="beside latest")
    put.add_argument("--metadata", metavar="JSON", help="an object, e.g. '{\"rows\": 100}'")
    for each in (ls, get, verify, put):
        add_json(each)


def run(options: argparse.Namespace) -> int:
    actions = {"ls": _ls, "get": _get, "verify": _verify, "put": _put}
    with hub_errors():
        return actions[options.action](options)


def _api() -> "Api":
    from stepwell.api import Api

    return Api()


# ---------------------------------------------------------------------------- ls


def _ls(options: argparse.Namespace) -> int:
    api = _api()
    place = options.place.strip("/")
    if "/" not in place:
        is_named = place or os.environ.get("STEPWELL_PROJECT")
        names = [place] if is_named else [each.name for each in api.projects()]
        is_any = False
        for name in names:
            for each in api.artifact_collections(name, options.type):
                is_any = True
                _tell_collection(options, each)
        if not is_any and not options.json:
            print("no artifacts yet; run.log_artifact logs one", file=sys.stderr)
        return OK
    found = api.artifact_collection(options.type or "", place)
    for version in found.versions():
        aliases = f"  ({', '.join(version.aliases)})" if version.aliases else ""
        _tell(
            options,
            _facts(version),
            f"{version.qualified_name}{aliases}  {counted(version.file_count, 'file')}  "
            f"{bytes_text(version.size)}  {version.updated_at}",
        )
    return OK


def _tell_collection(options: argparse.Namespace, one: "ArtifactCollection") -> None:
    facts = {
        "project": one.project,
        "name": one.name,
        "type": one.type,
        "versions": one.version_count,
        "size": one.size,
        "updated_at": one.updated_at,
    }
    line = f"{one.qualified_name}  {one.type}  {counted(one.version_count, 'version')}  "
    _tell(options, facts, f"{line}{bytes_text(one.size)}  {one.updated_at}")


def _facts(version: "Artifact") -> dict[str, Any]:
    return {
        "project": version.project,
        "name": version.name,
        "type": version.type,
        "version": version.version,
        "aliases": version.aliases,
        "digest": version.digest,
        "files": version.file_count,
        "size": version.size,
        "description": version.description,
        "metadata": version.metadata,
        "updated_at": version.updated_at,
    }


def _tell(options: argparse.Namespace, facts: Mapping[str, Any], line: str) -> None:
    print(json.dumps(facts) if options.json else plain(line))


# ---------------------------------------------------------------------------- get, verify


def _get(options: argparse.Namespace) -> int:
    artifact = _api().artifact(options.name, options.type)
    folder = artifact.download(
        options.root,
        allow_missing_references=options.without_references,
        path_prefix=options.prefix,
    )
    _tell(options, {**_facts(artifact), "folder": folder}, folder)
    return OK


def _verify(options: argparse.Namespace) -> int:
    from stepwell._artifacts.download import default_root
    from stepwell._artifacts.verifying import compare

    artifact = _api().artifact(options.name)
    folder = options.root or default_root(artifact._committed("files"))
    found = compare(artifact.manifest, folder)
    if options.json:
        print(json.dumps({"folder": folder, "name": artifact.name, **found._asdict()}))
    else:
        for line in _lines(found._asdict()):
            print(plain(line))
        print(plain(f"{folder}: {'other than' if found else 'the files of'} {artifact.name}"))
    return FAILED if found else OK


def _lines(differences: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for what, paths in differences.items():
        for path in paths[:_SHOWN]:
            yield f"{what}: {path}"
        if len(paths) > _SHOWN:
            yield f"{what}: {counted(len(paths) - _SHOWN, 'more file')}; --json lists all"


# ---------------------------------------------------------------------------- put


def _put(options: argparse.Namespace) -> int:
    import stepwell
    from stepwell._artifacts.versions import parse_artifact_path

    path = parse_artifact_path(options.name, default_project=os.environ.get("STEPWELL_PROJECT", ""))
    if ":" in options.name:
        raise CommandError("the hub gives the number; name aliases with --alias", USAGE)
    artifact = stepwell.Artifact(
        path.name, options.type, options.description, _metadata(options.metadata)
    )
    for each in options.paths:
        is_alone = len(options.paths) == 1
        if os.path.isdir(each):
            below = None if is_alone else os.path.basename(os.path.abspath(each))
            artifact.add_dir(each, below)
        else:
            artifact.add_file(each)
    with stepwell.init(
        path.project, job_type=_JOB_TYPE, settings={"console": False, "silent": True}
    ) as logging:
        logging.log_artifact(artifact, aliases=options.alias)
        artifact.wait()
    _tell(options, _facts(artifact), artifact.qualified_name)
    return OK


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise CommandError(f"--metadata: no JSON ({error})", USAGE) from error
    if not isinstance(found, dict):
        raise CommandError("--metadata: expected an object, e.g. '{\"rows\": 100}'", USAGE)
    return found
