"""Names that are not found: the nearest ones, for the message."""

import difflib
from collections.abc import Sequence

from stepwell.errors import UsageError


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the end of a sentence with the names of ``known`` that are similar."""
    folded = {each.lower(): each for each in known}
    near = [folded[each] for each in difflib.get_close_matches(name.lower(), folded, n=3)]
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    if 0 < len(known) <= 5:
        return f"; known are {', '.join(map(repr, known))}"
    return ""


def split_path(path: str, *, default_project: str = "", wants_run: bool = False) -> tuple[str, str]:
    """Return (project, run id) of ``entity/project/run``, ``project/run`` and the like.

    The entity is not kept: a hub has no entities. ``run`` may be before the id, and a slash at the
    beginning, as in the paths of pages.

    Raises:
        UsageError: It is no such path.
    """
    parts = [each for each in str(path or "").strip("/").split("/") if each]
    if wants_run:
        if len(parts) == 4 and parts[2] == "runs":
            del parts[2]
        if len(parts) == 3:
            del parts[0]
        if len(parts) == 1 and default_project:
            parts.insert(0, default_project)
        if len(parts) != 2:
            raise UsageError(
                f"{path!r} does not name a run; expected PROJECT/RUN-ID or ENTITY/PROJECT/RUN-ID"
            )
        return parts[0], parts[1]
    if not parts and default_project:
        return default_project, ""
    if len(parts) not in (1, 2):
        raise UsageError(f"{path!r} does not name a project; expected PROJECT or ENTITY/PROJECT")
    return parts[-1], ""
