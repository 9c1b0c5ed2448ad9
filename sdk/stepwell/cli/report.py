"""`stepwell report …`: lists reports, saves a file as one, exports one as an HTML file."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.errors import FAILED, OK, CommandError
from stepwell.cli.hub_answers import check_project, has_runs, hub_errors, names_near
from stepwell.cli.options import add_json
from stepwell.cli.output import binary_stdout, replaced_file
from stepwell.cli.text import plain

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_PAGE: Final = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ls = actions.add_parser("ls", help="list the reports of a project, or of all projects")
    put = actions.add_parser("put", help="save a Markdown file as a report")
    put.add_argument("file", metavar="FILE", help="a Markdown file; - for stdin")
    put.add_argument("-t", "--title", help="default: the name of the file without its ending")
    ls.add_argument("-p", "--project", help="default: STEPWELL_PROJECT, otherwise all projects")
    put.add_argument("-p", "--project", help="default: STEPWELL_PROJECT")
    export = actions.add_parser("export", help="write a report as one HTML file")
    export.add_argument("id", metavar="ID")
    export.add_argument("-o", "--output", metavar="FILE", help="default: ID.html; - for stdout")
    for each in (ls, put, export):
        add_json(each)


def run(options: argparse.Namespace) -> int:
    actions = {"ls": _ls, "put": _put, "export": _export}
    with hub_errors():
        return actions[options.action](options)


def _hub(*, may_start: bool) -> "Hub":
    from stepwell._hub import find_hub

    return find_hub(may_start=may_start)


def _project_to_save_in(options: argparse.Namespace) -> str:
    from stepwell._settings import read_settings

    project = read_settings({"project": options.project}).project
    assert project is not None
    return project


def _ls(options: argparse.Namespace) -> int:
    hub = _hub(may_start=False)
    project = options.project or os.environ.get("STEPWELL_PROJECT", "")
    found = list(_listed(hub, project))
    if project and not found:
        check_project(hub, project)
    for each in found:
        if options.json:
            print(json.dumps(each))
            continue
        saved = datetime.fromtimestamp(each["updated_at"]).strftime("%Y-%m-%d %H:%M")
        where = "" if project else f"{each['project']}  "
        line = f"{each['id']}  {saved}  version {each['version']:<4}  {where}{each['title']}"
        print(plain(line))
    if not found and not options.json:
        where = f" in project {project!r}" if project else ""
        print(plain(f"no reports{where}; `stepwell report put` saves one"), file=sys.stderr)
    return OK


def _listed(hub: "Hub", project: str) -> Iterator[dict[str, Any]]:
    """Yield the reports of ``project``, "" for all: a report needs no run."""
    path = ("projects", project, "reports") if project else ("reports",)
    cursor = None
    while True:
        query = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
        page = hub.ask("GET", *path, query=query)
        yield from page["reports"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _put(options: argparse.Namespace) -> int:
    from stepwell._reports import save_report

    try:
        text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{options.file}: {getattr(error, 'strerror', None) or error}"
        ) from error
    title = options.title or ("Report" if options.file == "-" else Path(options.file).stem)
    hub, project = _hub(may_start=True), _project_to_save_in(options)
    saved = save_report(hub, title, text, project)
    if not has_runs(hub, project):  # The first run may come later, or the name is wrong.
        near = names_near(hub, project)
        print(plain(f"stepwell: project {project!r} has no runs yet{near}"), file=sys.stderr)
    for problem in saved.problems:
        print(plain(f"{options.file}: invalid panel: {problem}"), file=sys.stderr)
    if options.json:
        facts = {"id": saved.id, "version": saved.version, "url": saved.url}
        print(json.dumps(facts | {"problems": saved.problems}))
    else:
        print(plain(f"report {saved.id}, version {saved.version}: {saved.url}"))
    return FAILED if saved.problems else OK


def _export(options: argparse.Namespace) -> int:
    hub = _hub(may_start=False)
    output = options.output or f"{options.id}.html"
    with contextlib.closing(hub.opened("GET", "reports", options.id, "export")) as answer:
        content = answer.read()
    if output == "-":
        with binary_stdout() as file:
            file.write(content)
        return OK
    _write(Path(output), content)
    if options.json:
        print(json.dumps({"id": options.id, "file": output, "bytes": len(content)}))
    else:
        print(plain(f"{output}: {len(content):,} bytes"))
    return OK


def _write(target: Path, content: bytes) -> None:
    """Write a whole file or none: if the write fails, an earlier file stays."""
    try:
        with replaced_file(target) as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"{target}: {error.strerror}; give another file with -o") from error
