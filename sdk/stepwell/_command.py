"""Commands: what the hub asks of a run, as the daemon passes it on."""

from typing import NamedTuple


class Command(NamedTuple):
    """What the hub asks of a run.

    Attributes:
        kind: ``stop``; others are of later releases.
        number: the trial's in its sweep.
        fencing: of the attempt that is meant.
    """

    kind: str
    reason: str
    sweep_id: str
    number: int
    fencing: int
