"""Commands of the hub to a run; the daemon passes them on."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command of the hub to a run.

    Attributes:
        kind: ``stop``; others are of later releases.
        number: number of the trial in its sweep.
        fencing: fencing number of the attempt that must obey.
    """

    kind: str
    reason: str
    sweep_id: str
    number: int
    fencing: int
