"""The importance of a sweep's parameters, computed in a thread of its own and remembered.

Agents that ask for trials do not wait for it: the catalog's thread only reads the rows.
"""

import asyncio
import json
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.sweeps.answers import ImportancesAnswer

_REMEMBERED_MAX: Final = 32

_Rows = list[tuple[str, float]]


class SweepImportance:
    """The importances of all sweeps. A sweep's last answer is kept until its trials change."""

    def __init__(self, catalog: CatalogDoor) -> None:
        self._catalog = catalog
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="importance")
        self._known: OrderedDict[str, tuple[_Rows, ImportancesAnswer]] = OrderedDict()

    async def of(self, sweep_id: str) -> ImportancesAnswer:
        """Return the importance of each parameter over the trials that have ended.

        Raises:
            SweepNotFoundError: There is no such sweep.
            CatalogUnavailableError: The database does not answer.
        """
        from stepwell_hub.catalog import sweeps

        metric, rows = await self._catalog.do(partial(sweeps.ended_values, sweep_id=sweep_id))
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._answer, sweep_id, metric, rows
        )

    def close(self) -> None:
        """Can be called twice."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _answer(self, sweep_id: str, metric: str | None, rows: _Rows) -> ImportancesAnswer:
        known = self._known.get(sweep_id)
        if known is None or known[0] != rows:
            self._known[sweep_id] = known = (rows, _computed(metric, rows))
        self._known.move_to_end(sweep_id)
        while len(self._known) > _REMEMBERED_MAX:
            self._known.popitem(last=False)
        return known[1]


def _computed(metric: str | None, rows: _Rows) -> ImportancesAnswer:
    from stepwell_hub.sweeps.importance import TRIALS_MIN, importances

    chance, found = importances([(json.loads(params), value) for params, value in rows])
    return ImportancesAnswer(metric, len(rows), TRIALS_MIN, chance, tuple(found))
