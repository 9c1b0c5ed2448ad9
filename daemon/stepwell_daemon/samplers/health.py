"""How a sampler does: what the status, the problems and /metrics say of it."""

import logging
from dataclasses import dataclass
from typing import Any

from stepwell_daemon.samplers.protocol import Reading
from stepwell_daemon.samplers.thread import Outcome

logger = logging.getLogger("stepwell_daemon")


@dataclass(slots=True)
class SamplerHealth:
    """Counts since the start of the daemon. Owned by the event loop.

    Attributes:
        samples: calls that were answered within the time limit and without an error.
        failures: calls that were not, or whose answer was partly invalid.
        points: values taken.
        last_error: stays after a recovery.
        last_seconds: how long the last answered call took.
        hung_since: monotonic, when a call began that has exceeded its time limit; None: none has.
        readings: the last valid ones; empty while the sampler fails.
    """

    name: str
    timeout_seconds: float
    samples: int = 0
    failures: int = 0
    points: int = 0
    last_error: str = ""
    last_seconds: float = 0.0
    hung_since: float | None = None
    readings: tuple[Reading, ...] = ()
    failed_in_row: int = 0

    @property
    def state(self) -> str:
        if self.hung_since is not None:
            return "hung"
        if self.failed_in_row:
            return "failing"
        return "ok" if self.samples else "waiting"

    def answered(self, answer: Outcome) -> None:
        """Take in an answer that came in time."""
        self.last_seconds = answer.seconds
        self.readings = answer.readings
        if answer.problems:
            self._failed(answer.problems[0])
            return
        self.samples += 1
        if self.failed_in_row:
            logger.info("sampler works again sampler=%s failures=%d", self.name, self.failed_in_row)
        self.failed_in_row = 0

    def hangs(self, since: float) -> None:
        """Take in that a call has exceeded its time limit."""
        self.hung_since = since
        self.readings = ()
        self._failed(f"no answer within {self.timeout_seconds:g} seconds")

    def answered_late(self, answer: Outcome) -> None:
        """Take in the end of a call that hung. Its values are of no known moment: discarded."""
        self.hung_since = None
        self.last_seconds = answer.seconds
        self.last_error = (
            f"answered after {answer.seconds:.1f} seconds, the limit is {self.timeout_seconds:g}"
        )

    def not_started(self, error: RuntimeError) -> None:
        """Take in that the system gave no thread."""
        self._failed(str(error))

    def problem(self, now: float) -> str:
        """Return what is wrong now, with what to do; empty where nothing is.

        Args:
            now: monotonic seconds.
        """
        if self.hung_since is not None:
            return (
                f"the sampler {self.name} has not answered for {now - self.hung_since:.0f} "
                "seconds and is not called again before it does: see the kernel's log for its "
                "device, or leave it out of the setting samplers"
            )
        if self.failed_in_row > 1:
            return (
                f"the sampler {self.name} fails ({self.last_error}): mend that, or leave it out "
                "of the setting samplers"
            )
        return ""

    def as_status(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "samples": self.samples,
            "failures": self.failures,
            "points": self.points,
            "last_error": self.last_error,
            "last_seconds": self.last_seconds,
            "devices": [
                {"kind": each.device.kind, "label": each.device.label, "id": each.device.id}
                for each in self.readings
            ],
        }

    def _failed(self, error: str) -> None:
        if not self.failed_in_row:
            logger.warning("sampler failed, trying again sampler=%s error=%s", self.name, error)
        self.failures += 1
        self.failed_in_row += 1
        self.last_error = error
