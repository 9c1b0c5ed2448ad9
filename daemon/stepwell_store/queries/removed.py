"""When runs were deleted."""

from collections.abc import Sequence

from stepwell_store.deletion import RunKey
from stepwell_store.identity import fingerprint
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.store import Store
from stepwell_store.tables import REMOVED_RUNS

_REMOVED_AT = f"""
SELECT run_key, max(removed_at) AS at FROM {REMOVED_RUNS.name}
WHERE run_key IN {{keys:Array(UInt64)}} GROUP BY run_key
"""


def removed_at(
    store: Store, runs: Sequence[RunKey], *, limits: Limits = DEFAULT
) -> dict[RunKey, float]:
    """Return when a run with this id was last deleted, in seconds since 1970 UTC.

    Also a run of now can be among them: one that began under the id of a deleted run.
    """
    if not runs:
        return {}
    by_key = {fingerprint(*run): run for run in runs}
    rows = Question(store, limits).rows(_REMOVED_AT, {"keys": list(by_key)})
    return {by_key[int(row["run_key"])]: int(row["at"]) / 1e6 for row in rows}
