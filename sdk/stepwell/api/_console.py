"""The console of a run, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line: `str` gives its text, ``time`` seconds since 1970 UTC, ``label`` its writer."""

    text: str
    time: float
    stream: str
    label: str

    def __str__(self) -> str:
        return self.text


def console_lines(hub: "Hub", project: str, run_id: str) -> Iterator[ConsoleLine]:
    """Yield the lines by time, the oldest first. A rewritten line has its last text."""
    path = ("projects", project, "runs", run_id, "console")
    pages = []
    query: dict[str, object] = {"limit": _PAGE}
    # The hub gives the newest page first: cursors of the earlier ones are gathered backwards.
    while True:
        found = hub.ask("GET", *path, query=query)
        pages.append(found["lines"])
        if found["before"] is None:
            break
        query = {"limit": _PAGE, "before": found["before"]}
    for lines in reversed(pages):
        for each in lines:
            yield ConsoleLine(each["text"], each["time"], each["stream"], each["label"])
