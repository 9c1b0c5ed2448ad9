"""`stepwell doctor`: checks the installation, and says what to fix.

Each check is a function that returns findings; none of them raises, waits long or leaves a
change.
"""

import argparse
import os
from collections.abc import Iterator

from stepwell.cli.checks import (
    Finding,
    Level,
    artifacts,
    blobs,
    environment,
    losses,
    node,
    page,
    process,
    stored,
)
from stepwell.cli.checks.sink import sink, sink_name
from stepwell.cli.errors import FAILED, OK, CommandError
from stepwell.cli.options import Places, add_json, add_store, places
from stepwell.cli.reading import (
    beside_data,
    by_configuration,
    closed_by,
    configuration,
)
from stepwell.cli.text import json_text, plain
from stepwell.cli.unsent import daemons_journals, journals_folders
from stepwell_wire.places import found_fallback_journals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    findings = list(_examine_places(places(options)))
    if options.json:
        print(json_text({"findings": [each.as_json() for each in findings]}))
    else:
        print(findings_text(findings))
    return FAILED if any(each.level is Level.FAIL for each in findings) else OK


def _examine_places(where: Places) -> Iterator[Finding]:
    """Yield every finding; places that a configuration names count."""
    sink = "embedded"
    try:
        if config := configuration(where):
            where, sink = by_configuration(where), config.sink
    except CommandError as error:
        yield Finding("config", Level.FAIL, str(error), "fix it; the defaults are checked here")
    yield from examine(beside_data(where), configured_sink=sink)


def examine(where: Places, *, configured_sink: str = "embedded") -> Iterator[Finding]:
    """Yield every finding; causes come before their effects.

    Args:
        configured_sink: where the daemon is to store, while none answers.
    """
    yield from environment.versions()
    yield from _guarded("clock", environment.clock(where.data))
    status, findings = node.daemon(where)
    yield from findings
    if status is None and where.is_guessed:
        yield node.unknown_data(where)
        yield from process.own_files()
        return
    data = where.data if status is None or where.data_named else status.data_dir
    owner = closed_by(data)
    if status is not None and owner:
        yield node.closed_data(data, owner)
    else:
        yield from _guarded("data", node.data_dir(data))
    if status is not None:
        yield from process.process(status.fields)
    yield from process.own_files()
    if status is None:
        yield from _guarded("spool", node.idle_spool(data))
    else:
        yield from node.spool(status)
        yield from sink(status.fields)
        yield from losses.refused(status.fields["totals"])
        yield from page.catalog(status.fields)
    if not owner:
        yield from _guarded("data", losses.kept(data))
        yield from _guarded("blobs", blobs.queue(data, None if status is None else status.fields))
    if status is not None:
        yield from artifacts.failed(status.fields)
    stores_here = (configured_sink if status is None else sink_name(status.fields)) == "embedded"
    if not owner and (stores_here or os.path.isdir(data / "store")):
        yield from _guarded("store", stored.store(data))
    said = [] if status is None else [str(each) for each in status.fields["problems"]]
    daemons = daemons_journals(where, None if status is None else status.fields)
    for folder in dict.fromkeys((daemons or where.journals, where.journals)):
        if folder == daemons or daemons is None or os.path.isdir(folder):
            yield from _guarded("journals", stored.journals(folder, problems_of_daemon=said))
            yield from _guarded("resume", stored.notes(folder))
    fallback = found_fallback_journals()
    if fallback is not None and fallback not in (daemons, where.journals):
        yield from _guarded("journals", stored.journals(fallback, fallback_of=where.socket))
    if status is None and not owner:
        yield from _guarded("journals", stored.ended(data, journals_folders(where)))


def _guarded(check: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield ``findings``; an unreadable file becomes a finding."""
    try:
        yield from findings
    except OSError as error:
        yield Finding(
            check,
            Level.FAIL,
            f"{error.filename}: {error.strerror}" if error.filename else str(error),
            "run this as the daemon's user, or let your user read there",
        )


def findings_text(findings: list[Finding]) -> str:
    """Return a line for each finding, with its remedy below, and a summary line."""
    lines = []
    for each in findings:
        lines.append(f"{each.level.value:<4}  {each.check:<10} {plain(each.message)}")
        if each.remedy:
            lines.append(f"{'':<16} → {plain(each.remedy)}")
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    lines.append("")
    if not counts[Level.FAIL] and not counts[Level.WARN]:
        lines.append("no problems found")
    else:
        lines.append(f"{counts[Level.FAIL]} to fix, {counts[Level.WARN]} to note")
    return "\n".join(lines)
