"""The way from the event loop to the catalog, which is opened at its first use.

SQLAlchemy costs a quarter of a second and 20 MiB: a hub without users does not pay that.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from stepwell_hub.errors import CatalogUnavailableError
from stepwell_wire.hub_access import LoginCode, catalog_is_damaged

if TYPE_CHECKING:
    from stepwell_hub.catalog.catalog import Catalog

Found = TypeVar("Found")


class CatalogDoor:
    """Runs the catalog's work in one thread, one after the other."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self._folder = folder
        self._url = url
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        self._catalog: Catalog | None = None

    async def do(self, work: "Callable[[Catalog], Found]") -> Found:
        """Return ``work(catalog)``.

        Raises:
            CatalogUnavailableError: The database does not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def do_from_thread(self, work: "Callable[[Catalog], Found]") -> Found:
        """Return ``work(catalog)``, in a thread that is not the event loop's.

        Raises:
            CatalogUnavailableError: The database does not answer, or the hub ends.
        """
        try:
            return self._thread.submit(self._do, work).result()
        except (RuntimeError, CancelledError) as error:
            raise CatalogUnavailableError("the hub is shutting down") from error

    async def use_code(self, code: LoginCode) -> bool:
        """Note that a login code is used; return False when it was before."""
        return await self.do(lambda catalog: catalog.use_code(code))

    async def answers(self) -> bool:
        """Return whether the database answers.

        A database file that is not in use yet is not opened for this check; its first bytes are
        read. That is in the catalog's thread, which opens it: to close a file in the process
        that uses it as a SQLite database ends the locks of that use.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._answers)
        except CatalogUnavailableError:
            return False

    def _answers(self) -> bool:
        if self._catalog is None and not self._url:
            return not catalog_is_damaged(self._folder)
        self._do(lambda catalog: catalog.ping())
        return True

    def close(self) -> None:
        """Can be called twice."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._catalog is not None:
            self._catalog.close()

    def _do(self, work: "Callable[[Catalog], Found]") -> Found:
        if self._catalog is None:
            from stepwell_hub.catalog.catalog import open_catalog

            self._catalog = open_catalog(self._folder, self._url)
        return work(self._catalog)
