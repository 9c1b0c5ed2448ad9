"""Names of a sweep: ``ID``, ``PROJECT/ID`` or ``ENTITY/PROJECT/ID``. Pure."""

import re
from typing import Final, NamedTuple

from stepwell.errors import UsageError

_ID: Final = re.compile(r"[a-z0-9]{8}")


class SweepPath(NamedTuple):
    """A parsed name of a sweep; ids are unique in a hub, so the rest must only match.

    Attributes:
        project: "" without one.
    """

    sweep_id: str
    project: str = ""


def parse_sweep_path(text: str) -> SweepPath:
    """Return the parsed ``text``.

    Raises:
        UsageError: It has none of the three forms.
    """
    parts = str(text).strip().strip("/").split("/")
    if len(parts) > 3 or not all(parts) or not _ID.fullmatch(parts[-1]):
        raise UsageError(
            f"sweep {str(text)[:80]!r}: expected ID, PROJECT/ID or ENTITY/PROJECT/ID, where "
            "ID is 8 lowercase letters and digits, as `stepwell sweep` and stepwell.sweep() "
            "print it"
        )
    return SweepPath(parts[-1], parts[-2] if len(parts) > 1 else "")
