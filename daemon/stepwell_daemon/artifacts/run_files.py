"""The files that `run.save` keeps: each version has the earlier files of the run, too.

A draft has the files that one process saved. A resumed run, another rank and an offline run each
make drafts of their own, so the files of the latest version that a draft does not name stay.
Only digests are read for this, no bytes. The hub names no run for a version of a deleted run with
the same id: its files are not the new run's.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from stepwell_daemon.artifacts.hub_calls import HubAwayError, HubCalls
from stepwell_wire.artifact_names import version_number
from stepwell_wire.drafts import Draft
from stepwell_wire.manifest import Entry, Manifest, folders_of, parse_manifest

_ROUNDS_MAX: Final = 100


def on_top(own: Mapping[str, Entry], earlier: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return ``own``, and the earlier files whose paths they leave free."""
    folders = {folder for path in own for folder in folders_of(path)}
    kept = {
        path: entry
        for path, entry in earlier.items()
        if path not in folders and not any(folder in own for folder in folders_of(path))
    }
    return {**kept, **own}


def commit_on_top(
    hub: HubCalls, draft: Draft, own: Manifest, commit: Callable[[bytes], dict[str, Any]]
) -> dict[str, Any]:
    """Commit ``own`` with the earlier files of the run; return the version.

    Another node may commit a version of the same run between the look at the latest one and the
    commit. Then a further version gets the files of both.

    Args:
        commit: makes a version of a packed manifest.

    Raises:
        HubAwayError: Not possible now.
    """
    entries = dict(own.entries)
    latest = hub.latest(draft.project, draft.name)
    seen = -1
    if latest is not None:
        seen = _number(latest)
        entries = on_top(entries, _entries(hub, draft, latest))
    for _ in range(_ROUNDS_MAX):
        version = commit(Manifest(entries).pack())
        between = range(seen + 1, _number(version))
        if not between:
            return version
        for number in between:
            other = hub.numbered(draft.project, draft.name, number)
            if other is not None:
                earlier = on_top(_entries(hub, draft, other), entries)
                entries = on_top(own.entries, earlier)
        seen = between.stop
    raise HubAwayError(f"other nodes commit versions of {draft.name} all the time", is_alone=True)


def _entries(hub: HubCalls, draft: Draft, version: dict[str, Any]) -> dict[str, Entry]:
    """Return the files of a version; none if it was deleted, or is of another run."""
    facts = (version["state"], version["run_id"], version["type"])
    if facts != ("committed", draft.run_id, draft.type):
        return {}
    return parse_manifest(hub.manifest(version)).entries


def _number(version: dict[str, Any]) -> int:
    number = version_number(str(version["version"]))
    assert number is not None
    return number
