"""`stepwell artifact …`: lists, fetches and verifies artifacts, logs files."""

import argparse
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from stepwell.cli.artifact_lines import facts_of, print_facts, print_notice, seconds_of
from stepwell.cli.artifact_put import put
from stepwell.cli.confirming import agrees
from stepwell.cli.errors import FAILED, NOT_FOUND, OK, USAGE, CommandError
from stepwell.cli.hub_answers import hub_errors
from stepwell.cli.options import add_json
from stepwell.cli.text import bytes_text, counted, json_text, plain
from stepwell_wire.commands import command_text

if TYPE_CHECKING:
    from stepwell import Artifact
    from stepwell.api import Api, ArtifactCollection

_SHOWN: Final = 10
_NAME: Final = "PROJECT/NAME:v3 or PROJECT/NAME:ALIAS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ls = actions.add_parser(
        "ls", help="list artifacts, versions of an artifact, or files of a version"
    )
    ls.add_argument("place", nargs="?", metavar="PROJECT[/NAME[:v3]]", default="")
    ls.add_argument("-p", "--project", help="then a place is NAME or NAME:v3")
    ls.add_argument("-t", "--type", help="only artifacts of this type")
    get = actions.add_parser("get", help="download a version and print its folder")
    get.add_argument("name", metavar="NAME", help=_NAME)
    get.add_argument("--root", metavar="DIR", help="default: ./artifacts/NAME:v3")
    get.add_argument("-t", "--type", help="fail if the artifact has another type")
    get.add_argument("--prefix", default="", help="only files whose path begins with PREFIX")
    get.add_argument(
        "--without-references",
        action="store_true",
        help="skip references, whose bytes are stored elsewhere",
    )
    verify = actions.add_parser("verify", help="compare the files of a folder with a version")
    verify.add_argument("name", metavar="NAME", help=_NAME)
    verify.add_argument("--root", metavar="DIR", help="default: ./artifacts/NAME:v3")
    rm = actions.add_parser("rm", help="delete a version")
    rm.add_argument("name", metavar="NAME", help="PROJECT/NAME:v3 or PROJECT/NAME:ALIAS")
    rm.add_argument(
        "--with-aliases",
        action="store_true",
        help="delete the version also if it has aliases, with its aliases",
    )
    rm.add_argument("--yes", action="store_true", help="do not ask")
    log = actions.add_parser("put", help="log files or folders as a version and wait for it")
    log.add_argument("paths", nargs="+", metavar="PATH")
    log.add_argument("-n", "--name", required=True, metavar="PROJECT/NAME")
    log.add_argument("-t", "--type", default="dataset", help="default: dataset")
    log.add_argument("-d", "--description", default="")
    log.add_argument(
        "-a", "--alias", action="append", default=[], help="an alias beside latest; can be repeated"
    )
    log.add_argument("--metadata", metavar="JSON", help="a JSON object, such as '{\"rows\": 100}'")
    for each in (ls, get, verify, log, rm):
        add_json(each)


def run(options: argparse.Namespace) -> int:
    actions = {"ls": _ls, "get": _get, "verify": _verify, "put": put, "rm": _rm}
    with hub_errors():
        return actions[options.action](options)


def _api() -> "Api":
    from stepwell.api import Api

    return Api()


# ---------------------------------------------------------------------------- ls


def _ls(options: argparse.Namespace) -> int:
    api = _api()
    place = options.place.strip("/")
    if options.project:
        if "/" in options.project:
            raise CommandError(f"--project {options.project!r} is no name of a project", USAGE)
        if "/" in place:
            raise CommandError(
                f"{place!r} names a project, and so does --project {options.project!r}: "
                "leave out one of them",
                USAGE,
            )
        place = f"{options.project}/{place}".rstrip("/")
    if "/" not in place:
        return _ls_projects(options, api, place or os.environ.get("STEPWELL_PROJECT", ""))
    if ":" in place:
        return _ls_files(options, api.artifact(place, options.type))
    found = api.artifact_collection(options.type or "", place)
    for version in found.versions():
        aliases = f"  ({', '.join(version.aliases)})" if version.aliases else ""
        print_facts(
            options,
            facts_of(version),
            f"{version.qualified_name}{aliases}  {counted(version.file_count, 'file')}  "
            f"{bytes_text(version.size)}  {version.updated_at}",
        )
    return OK


def _ls_projects(options: argparse.Namespace, api: "Api", project: str) -> int:
    is_any = False
    for name in [project] if project else [each.name for each in api.projects()]:
        for each in api.artifact_collections(name, options.type):
            is_any = True
            _print_collection(options, each)
    if not is_any:
        print_notice(_nothing(api, project, options.type))
    return OK


def _nothing(api: "Api", project: str, kind: str | None) -> str:
    """Return the line for a list without artifacts.

    Raises:
        NotFoundError: There is no such project.
    """
    types = sorted({each.type for each in api.artifact_collections(project)}) if project else []
    where = f" in project {project!r}" if project else ""
    if kind and types:
        return f"no artifacts of type {kind!r}{where}; there are {', '.join(map(repr, types))}"
    if project and not types:
        api.project(project)  # Raises if it does not exist.
    of_type = f" of type {kind!r}" if kind else ""
    return f"no artifacts{of_type}{where}; `stepwell artifact put` logs one"


def _ls_files(options: argparse.Namespace, version: "Artifact") -> int:
    for path, entry in version.manifest.entries.items():
        facts = {
            "path": path,
            "size": entry.size,
            "digest": entry.digest,
            "reference": entry.reference or None,
        }
        size = "" if entry.size is None else f"  {bytes_text(entry.size)}"
        kept = f"  {entry.reference}" if entry.reference else ""
        print_facts(options, facts, f"{path}{size}{kept}")
    return OK


def _print_collection(options: argparse.Namespace, one: "ArtifactCollection") -> None:
    facts = {
        "project": one.project,
        "name": one.name,
        "type": one.type,
        "versions": one.version_count,
        "size": one.size,
        "updated_at": seconds_of(one.updated_at),
    }
    line = f"{one.qualified_name}  {one.type}  {counted(one.version_count, 'version')}  "
    print_facts(options, facts, f"{line}{bytes_text(one.size)}  {one.updated_at}")


# ---------------------------------------------------------------------------- get, verify


def _get(options: argparse.Namespace) -> int:
    artifact = _api().artifact(options.name, options.type)
    prefix, name = options.prefix, artifact.qualified_name
    if prefix and not any(path.startswith(prefix) for path in artifact.manifest.entries):
        ls = command_text("artifact", "ls", name)
        raise CommandError(f"no file of {name} begins with {prefix!r}; {ls} lists them", NOT_FOUND)
    folder = artifact.download(
        options.root,
        allow_missing_references=options.without_references,
        path_prefix=prefix,
    )
    print_facts(options, {**facts_of(artifact), "folder": folder}, folder)
    return OK


def _verify(options: argparse.Namespace) -> int:
    from stepwell._artifacts.download import default_root
    from stepwell._artifacts.verifying import compare

    artifact = _api().artifact(options.name)
    folder = options.root or default_root(artifact._committed("files"))
    found = compare(artifact.manifest, folder)
    if options.json:
        facts = {"folder": folder, "name": artifact.name, **found._asdict()}
        print(json_text(facts, indent=None))
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


# ---------------------------------------------------------------------------- rm


def _rm(options: argparse.Namespace) -> int:
    if ":" not in options.name:
        raise CommandError(f"{options.name!r} is not a name of a version; expected {_NAME}", USAGE)
    version = _api().artifact(options.name)
    if version.aliases and not options.with_aliases:
        raise CommandError(
            f"{version.qualified_name} has the aliases {', '.join(version.aliases)}; "
            "add --with-aliases to delete it with them"
        )
    if not options.yes and not agrees(f"delete {plain(version.qualified_name)} permanently?"):
        raise CommandError("not deleted")
    version.delete(delete_aliases=options.with_aliases)
    print_facts(options, facts_of(version), f"deleted {version.qualified_name}")
    return OK
