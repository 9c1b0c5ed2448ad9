"""`stepwell rm RUN…`: deletes runs for good, from every table."""

import argparse
import sys

from stepwell.cli.errors import FAILED, OK, USAGE, CommandError
from stepwell.cli.options import add_config, add_data, add_socket, places
from stepwell.cli.reading import reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("references", nargs="+", metavar="RUN", help="run id, name or PROJECT/…")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_data(parser)
    add_config(parser)
    add_socket(parser)


def run(options: argparse.Namespace) -> int:
    if not options.yes and not sys.stdin.isatty():
        raise CommandError("cannot ask without a terminal; say --yes to delete", USAGE)
    with reading(places(options)) as store:
        from stepwell_store.queries import delete_run, find_run, list_runs

        # All names first: a wrong one deletes nothing.
        found = list(dict.fromkeys(find_run(store, each) for each in options.references))
        overviews = {
            (each["project"], each["run_id"]): each
            for project in {ref.project for ref in found}
            for each in list_runs(store, project=project, limit=sys.maxsize)
        }
        for ref in found:
            overview = overviews.get((ref.project, ref.run_id), {})
            if overview.get("state") == "running":
                print(
                    f"stepwell: {ref} has not finished; what it logs from now on comes back",
                    file=sys.stderr,
                )
        if not options.yes and not _agrees([str(ref) for ref in found]):
            print("nothing was deleted", file=sys.stderr)
            return FAILED
        for ref in found:
            delete_run(store, ref.project, ref.run_id)
            print(f"deleted {ref}")
    return OK


def _agrees(names: list[str]) -> bool:
    print("\n".join(names))
    noun = "this run" if len(names) == 1 else f"these {len(names)} runs"
    print(f"delete {noun} for good? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
