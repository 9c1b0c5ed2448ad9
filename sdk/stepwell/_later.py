"""Features of a later release: each prints a line once, and training continues."""

from collections.abc import Callable
from typing import Final

from stepwell._terminal import OF_ALL

_OUTCOMES: Final = {
    "graph": "the layers of the model are not recorded, only its histograms",
    "alert": "no message is sent, the text is only printed here",
    "artifact": "there are no registries; the artifact is in the project where it was logged",
    "log_code": "code is not recorded, only the git commit and the command line",
    "media": "its content is not recorded, only the other values of its row",
    "chart": "no chart is drawn, its data is recorded as a table",
    "dir": "files in run.dir stay on this machine; run.save(path) keeps a file",
    "fork_from": "the run starts after that step, without its parent's history",
    "resume_from": "the run continues after that step, without deleting its later history",
}


def warn_unavailable(
    kind: str, call: str, warn: Callable[[str, str], None], way_out: str = ""
) -> None:
    """Print once a run that ``call`` is not available yet, and what happens instead.

    All calls for artifacts share one line; each class of media and each kind of chart has its
    own.

    Args:
        way_out: ends the line with what to do instead.
    """
    key = f"{kind} {call}" if kind in ("media", "chart") else kind
    outcome, end = _OUTCOMES[kind], f"; {way_out}" if way_out else ""
    warn(OF_ALL + key, f"{call} is not available yet, only in a later release: {outcome}{end}")
