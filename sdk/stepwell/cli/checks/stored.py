"""The store, and the journals that wait to be sent."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.errors import CommandError
from stepwell.cli.extras import require_store
from stepwell.cli.text import bytes_text, count_text, moment_text
from stepwell_wire.journal import JournalError, JournalReader
from stepwell_wire.journal_files import find_journals, find_remains

_FUTURE_SECONDS_MAX: Final = 60.0
_REPAIR: Final = "kept as it is; `stepwell journal repair` says what can be had of it"
_SUMMARY: Final = """
SELECT (SELECT count() FROM points) AS points,
       (SELECT uniqExact(project, run_id) FROM writers) AS runs,
       (SELECT max(version) FROM schema_versions) AS version,
       (SELECT max(w.last_seen) FROM writers AS w) AS last_seen
"""


def store(data: Path) -> Iterator[Finding]:
    """Yield whether the store of ``data`` opens and answers."""
    if not (data / "store").is_dir():
        yield Finding("store", Level.OK, f"none yet in {data}; the first daemon makes it")
        return
    try:
        require_store()
    except CommandError as error:
        yield Finding("store", Level.WARN, str(error), "see above")
        return
    from stepwell_store import StoreError, TableMissingError, connect_embedded

    try:
        opened = connect_embedded(data)
        try:
            (row,) = opened.query(_SUMMARY)
        finally:
            opened.close()
    except TableMissingError as error:
        yield Finding(
            "store",
            Level.WARN,
            f"{data / 'store'}: not every table is there ({error})",
            "nothing: the daemon makes what is missing when it starts, and when it stores",
        )
        return
    except StoreError as error:
        yield Finding("store", Level.FAIL, str(error), f"{data / 'engine.log'} says more")
        return
    yield Finding(
        "store",
        Level.OK,
        f"{count_text(row['runs'])} runs, {count_text(row['points'])} points, "
        f"schema {row['version']}",
    )
    ahead = row["last_seen"] / 1e6 - time.time()
    if ahead > _FUTURE_SECONDS_MAX:
        yield Finding(
            "clock",
            Level.WARN,
            f"the store holds points from the future, up to {moment_text(row['last_seen'] / 1e6)}",
            "some machine's clock is ahead: let NTP keep them",
        )


def journals(folder: Path) -> Iterator[Finding]:
    """Yield what lies in the journals' folder and was never acknowledged."""
    live = dead = 0
    unsent_bytes = 0
    for path in find_journals(folder):
        try:
            reader = JournalReader(path)
        except (JournalError, OSError) as error:
            yield Finding(
                "journals",
                Level.WARN,
                str(error),
                _REPAIR,
            )
            continue
        try:
            if reader.writer_is_alive():
                live += 1
            elif missing := reader.missing():
                yield Finding("journals", Level.WARN, missing, _REPAIR)
            elif reader.committed > reader.acked:
                dead += 1
                unsent_bytes += reader.committed - reader.acked
        finally:
            reader.close()
    ownerless, doubtful = find_remains(folder)
    for path in ownerless:
        yield Finding(
            "journals",
            Level.WARN,
            f"{path} holds records and no writer.json: nobody knows whose they are, nobody sends "
            "them",
            f"`stepwell journal repair {path} --unverified --project … --run …` says whose",
        )
    for path in doubtful:
        yield Finding(
            "journals",
            Level.WARN,
            f"{path} keeps what could not be believed after a restart of the machine",
            f"`stepwell journal repair --unverified {path}` delivers what can be read of it; else "
            "remove it",
        )
    if dead:
        yield Finding(
            "journals",
            Level.WARN,
            f"{count_text(dead)} ended writers left {bytes_text(unsent_bytes)} unsent in {folder}",
            "`stepwell sync` sends it; a running daemon does so by itself, but for offline runs",
        )
    else:
        yield Finding(
            "journals", Level.OK, f"{count_text(live)} writers at work, nothing waits in {folder}"
        )
