"""Changes by users, not by trainers: a run is renamed, tagged, archived or deleted.

An edit is rows of `run` attributes, inserted like a daemon's rows: under a token, so that a
repetition has no effect. The newest version of a path is valid. Rows of a late or resumed trainer
have the time at which the trainer logged them, so they never undo a later edit.
"""

import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from stepwell_store import deletion
from stepwell_store.blocks import BlockBuilder
from stepwell_store.errors import RunNotFoundError
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store
from stepwell_store.writer import WriterInfo
from stepwell_wire.records import RUN
from stepwell_wire.rows import DecodedRecords, Event

NAME_CHARACTERS_MAX: Final = 512
NOTES_CHARACTERS_MAX: Final = 100_000
TAGS_MAX: Final = 256
TAG_CHARACTERS_MAX: Final = 128
_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}|")

_LATEST: Final = """
SELECT count() AS writers,
       (SELECT max(version) FROM attributes
        WHERE project = {project:String} AND run_id = {run_id:String} AND kind = 'run') AS latest
FROM writers WHERE project = {project:String} AND run_id = {run_id:String}
"""


def edit_run(
    store: Store,
    project: str,
    run_id: str,
    *,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    group: str | None = None,
    color: str | None = None,
    archived: bool | None = None,
    limits: Limits = DEFAULT,
    clock: Any = time.time,
) -> None:
    """Set the values that are not None; an empty text clears a value. They are stored on return.

    Raises:
        RunNotFoundError: No such run.
        ValueError: A value is too long, not a text, or no colour.
    """
    texts = {
        "name": (name, NAME_CHARACTERS_MAX),
        "notes": (notes, NOTES_CHARACTERS_MAX),
        "group": (group, NAME_CHARACTERS_MAX),
    }
    body: dict[str, Any] = {
        field: _checked(field, text, longest)
        for field, (text, longest) in texts.items()
        if text is not None
    }
    if color is not None:
        body["color"] = checked_color(color)
    if tags is not None:
        body["tags"] = _checked_tags(tags)
    if archived is not None:
        if not isinstance(archived, bool):
            raise ValueError(f"archived is {archived!r}; expected true or false")
        body["archived"] = archived
    where = {"project": project, "run_id": run_id}
    (found,) = Question(store, limits).rows(_LATEST, where)
    if not found["writers"]:
        raise RunNotFoundError(f"{project}/{run_id}", [])
    if not body:
        return
    # The editor's clock may be behind the trainer's: the edit must be newer nevertheless.
    version = max(round(clock() * 1e6), (found["latest"] or 0) + 1)
    editor = WriterInfo(project, run_id, f"edit-{uuid.uuid4().hex}", "", "run", "", os.getpid())
    builder = BlockBuilder(store.shard_of(editor))
    builder.add(editor, DecodedRecords([], [Event(0, version, RUN, body)], 0, 0), {})
    for block in builder.build():
        store.insert(block, f"{editor.writer_id}:{block.table}:{block.digest()}")


def delete_run(
    store: Store,
    project: str,
    run_id: str,
    *,
    force: bool = False,
    begins: Callable[[], object] = lambda: None,
    limits: Limits = DEFAULT,
) -> None:
    """Delete every row of a run. A repetition, or a missing run, has no effect.

    Args:
        force: also delete a running run, and later rows of its writers.
        begins: called after the check, before the deletion.
        limits: of the check whether it runs; the deletion itself has no time limit.

    Raises:
        RunIsRunningError: It is running, and ``force`` is not set.
    """
    deletion.delete_runs(
        store,
        {project: [run_id]},
        force=force,
        look_seconds=limits.timeout_seconds,
        begins=begins,
    )


def delete_project(
    store: Store,
    project: str,
    *,
    force: bool = False,
    begins: Callable[[list[str]], object] = lambda run_ids: None,
    limits: Limits = DEFAULT,
) -> list[str]:
    """Delete every run of a project, as ``delete_run`` does; return their ids.

    Args:
        begins: called with their ids after the check of all runs, before the first deletion.

    Raises:
        RunIsRunningError: Some are running, and ``force`` is not set.
    """
    look_seconds = limits.timeout_seconds
    return deletion.delete_project(
        store, project, force=force, look_seconds=look_seconds, begins=begins
    )


def _checked(field: str, text: str, longest: int) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{field} is {text!r}; expected text")
    if len(text) > longest:
        raise ValueError(f"{field} has {len(text):,} characters; the maximum is {longest:,}")
    return text


def checked_color(color: str) -> str:
    """Return ``color``, which is empty or has the form #rrggbb.

    Raises:
        ValueError: It is neither.
    """
    if not isinstance(color, str) or not _COLOR.fullmatch(color):
        raise ValueError(
            f"color is {str(color)[:80]!r}; expected #rrggbb, such as #1f77b4, or an empty text"
        )
    return color


def _checked_tags(tags: Sequence[str]) -> list[str]:
    if isinstance(tags, str) or len(tags) > TAGS_MAX:
        raise ValueError(f"tags must be a list of at most {TAGS_MAX} texts")
    for tag in tags:
        if not _checked("a tag", tag, TAG_CHARACTERS_MAX).strip():
            raise ValueError("a tag is empty")
    return list(dict.fromkeys(tags))
