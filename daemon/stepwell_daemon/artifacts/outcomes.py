"""The outcomes of drafts, one file for each draft:

    <data>/artifacts/done/<key>.json    the newest are kept for a week

All methods except `failures` do I/O. Methods that change files belong to one thread.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.artifacts.draft_files import sync
from stepwell_wire.drafts import Draft, is_key

_KEPT_SECONDS: Final = 7 * 86_400.0
_KEPT_MAX: Final = 10_000
_REMOVE_EVERY: Final = 1000
_FAILURES_MAX: Final = 20


class Outcomes:
    """The outcomes of one daemon's drafts."""

    def __init__(
        self, folder: Path, *, kept_max: int = _KEPT_MAX, remove_every: int = _REMOVE_EVERY
    ) -> None:
        """
        Args:
            kept_max: only this number of the newest outcomes is kept.
            remove_every: after this number of outcomes the old ones are removed.
        """
        self._folder = folder
        self._kept_max, self._remove_every = kept_max, remove_every
        self._failures: list[dict[str, Any]] = []
        self._noted = 0

    def open(self) -> None:
        """Make the folder, remove old outcomes, and load the last failures of earlier daemons.

        Raises:
            OSError: The folder cannot be made or read.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_old()
        found = []
        for path in self._folder.glob("*.json"):
            # One failure less is reported; this has no other effect.
            with contextlib.suppress(OSError):
                found.append(self.find(path.stem) or {})
        for each in sorted(found, key=lambda each: float(each.get("at") or 0.0)):
            self._note_failure(each)

    def note(self, key: str, draft: Draft | None, outcome: dict[str, Any]) -> None:
        """Note the outcome of a draft durably.

        Args:
            draft: as much of it as is readable.
        """
        named = {}
        if draft is not None:
            named = {"project": draft.project, "name": draft.name, "run_id": draft.run_id}
        facts = {"key": key, "at": time.time(), **named, **outcome}
        scratch = self._folder / f".{key}"
        scratch.write_text(json.dumps(facts))
        sync(scratch)
        os.rename(scratch, self._path(key))
        sync(self._folder)
        self._note_failure(facts)
        self._noted += 1
        if self._noted % self._remove_every == 0:
            with contextlib.suppress(OSError):
                self._remove_old()

    def forget(self, key: str) -> None:
        """Remove the outcome of a draft."""
        self._path(key).unlink(missing_ok=True)
        self._failures = [each for each in self._failures if each["key"] != key]

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the outcome of a draft; None without one, or if it was long ago."""
        if not is_key(key):
            return None
        try:
            found: dict[str, Any] = json.loads(self._path(key).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found

    def failures(self) -> list[dict[str, Any]]:
        """Return the last failed drafts, the newest first.

        ``has_later``: a later version of its name was made.
        """
        return list(self._failures)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _note_failure(self, outcome: dict[str, Any]) -> None:
        if outcome.get("state") == "failed":
            self._failures.insert(0, {**outcome, "has_later": False})
            del self._failures[_FAILURES_MAX:]
        elif self._failures:
            name = _full_name(outcome)
            self._failures = [
                {**each, "has_later": each["has_later"] or _full_name(each) == name}
                for each in self._failures
            ]

    def _remove_old(self) -> None:
        now = time.time()
        found = sorted(
            ((path.stat().st_mtime, path) for path in self._folder.iterdir()), reverse=True
        )
        for number, (noted_at, path) in enumerate(found):
            if number >= self._kept_max or now - noted_at > _KEPT_SECONDS:
                path.unlink(missing_ok=True)


def _full_name(outcome: dict[str, Any]) -> tuple[Any, Any]:
    return (outcome.get("project"), outcome.get("name"))
