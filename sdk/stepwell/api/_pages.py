"""Lists that are read a page at a time, when their items are first needed."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar, overload

from stepwell._later_names import LaterNames
from stepwell.errors import UsageError

PAGE_MAX: Final = 10_000

_LATER: Final = dict.fromkeys(
    (
        *("QUERY", "convert_objects", "cursor", "last_response", "length", "more", "objects"),
        *("update_variables", "upgrade_to_full", "variables"),
    ),
    "use it as a list: with len(), an index or a loop",
)
T = TypeVar("T")


class Pages(Sequence[T], LaterNames, Generic[T]):
    """A list whose pages are requested one after the other, and kept.

    It is also an iterator, apart from the iterators that a loop makes.

    `len` requests the first page only. Items added to the hub meanwhile may be left out.
    """

    entity = ""
    _whose, _later = "a list's", _LATER

    def __init__(self, per_page: int) -> None:
        if isinstance(per_page, bool) or not isinstance(per_page, int) or per_page < 1:
            raise UsageError(f"per_page: {per_page!r}; expected a whole number of 1 or more")
        self._per_page = min(per_page, PAGE_MAX)
        self._held: list[T] = []
        self._cursor: str | None = None
        self._total: int | None = None
        self._is_begun = False
        self._next = 0

    @property
    def per_page(self) -> int:
        return self._per_page

    @abstractmethod
    def _page(self, cursor: str | None, limit: int) -> tuple[list[T], str | None, int | None]:
        """Return items, the next cursor (None at the end) and the total number, if known."""

    def _more(self) -> bool:
        """Ask for the next page; return whether there was one."""
        if self._is_begun and self._cursor is None:
            return False
        items, self._cursor, total = self._page(self._cursor, self._per_page)
        self._total = total if total is not None else self._total
        self._is_begun = True
        self._held += items
        return True

    def __len__(self) -> int:
        if not self._is_begun:
            self._more()
        if self._total is not None and self._cursor is not None:
            return max(self._total, len(self._held))
        while self._more():
            pass
        return len(self._held)

    def __iter__(self) -> Iterator[T]:
        at = 0
        while at < len(self._held) or self._more():
            if at < len(self._held):
                yield self._held[at]
                at += 1

    def __next__(self) -> T:
        try:
            found = self[self._next]
        except IndexError:
            raise StopIteration from None
        self._next += 1
        return found

    next = __next__

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> list[T]: ...
    def __getitem__(self, at: int | slice) -> T | list[T]:
        wanted = at.stop if isinstance(at, slice) else at + 1
        is_to_end = wanted is None or wanted <= 0 or (isinstance(at, slice) and (at.start or 0) < 0)
        while (is_to_end or len(self._held) < wanted) and self._more():
            pass
        return self._held[at]
