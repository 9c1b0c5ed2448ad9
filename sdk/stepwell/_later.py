"""Features of a later release: each prints a line once, and training continues."""

from collections.abc import Callable
from typing import Final

from stepwell._terminal import OF_ALL

_OUTCOMES: Final = {
    "graph": "the layers of a watched model are not kept; its histograms are",
    "alert": "no message is sent; the text is printed here",
    "artifact": "registries are not kept; the artifact itself is where it was logged",
    "log_code": "code is not kept; the git commit and the command line are",
    "media": "its content is not kept; the other values of its row are",
    "dir": "files that are written into run.dir stay on this machine",
    "fork_from": "the run starts after that step, without its parent's history",
    "resume_from": "the run goes on after that step, and its later history is kept",
}


def tell_once(kind: str, call: str, warn: Callable[[str, str], None]) -> None:
    """Print once a run that ``call`` is not available yet, and what happens instead.

    All calls for artifacts share one line; each class of media has its own.
    """
    key = f"{kind} {call}" if kind == "media" else kind
    outcome = _OUTCOMES[kind]
    warn(OF_ALL + key, f"{call} is not there yet, a later release brings it: {outcome}")
