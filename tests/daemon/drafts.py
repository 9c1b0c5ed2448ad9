"""Drafts of artifacts beside a journal, made by the SDK's own code."""

import os
from pathlib import Path

from stepwell._artifacts.files import DraftFiles
from stepwell_wire.drafts import DRAFT_FILE, Draft, folder_name
from stepwell_wire.staged import new_id
from tests.daemon.staged import INFO


def make_draft(
    journal: Path,
    files: dict[str, Path],
    *,
    name: str = "data",
    type: str = "dataset",
    aliases: tuple[str, ...] = (),
) -> Draft:
    """Put a draft of ``files``, by path in the artifact, beside a journal."""
    key = new_id()
    held = DraftFiles(key)
    for path, source in files.items():
        held.add_file(str(source), path)
    draft = Draft(
        key=key,
        project=INFO.project,
        run_id=INFO.run_id,
        writer_id=INFO.writer_id,
        name=name,
        type=type,
        description="",
        metadata={},
        aliases=aliases,
    )
    folder = held.ready()
    held.release()
    (folder / DRAFT_FILE).write_bytes(draft.to_json())
    journal.mkdir(parents=True, exist_ok=True)
    os.rename(folder, journal / folder_name(draft.key))
    return draft
