"""The state of a sampler, for the status, the problems and /metrics."""

import logging
from dataclasses import dataclass
from typing import Any

from stepwell_daemon.samplers.protocol import Condition, Reading
from stepwell_daemon.samplers.thread import Outcome

logger = logging.getLogger("stepwell_daemon")


@dataclass(slots=True)
class SamplerHealth:
    """Counts since the start of the daemon. Owned by the event loop.

    Attributes:
        samples: calls with an answer within the time limit and without an error.
        failures: all other calls, and calls with a partly invalid answer.
        points: accepted values.
        last_error: stays after a recovery.
        last_seconds: duration of the last answered call.
        hung_since: monotonic start of a call that has exceeded its time limit; None without one.
        readings: the last valid ones; empty while the sampler fails.
        conditions: problems of devices in the last answer.
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
    conditions: tuple[Condition, ...] = ()
    failed_in_row: int = 0

    @property
    def state(self) -> str:
        if self.hung_since is not None:
            return "hung"
        if self.failed_in_row:
            return "failing"
        return "ok" if self.samples else "waiting"

    def answered(self, answer: Outcome) -> None:
        """Note an answer that came in time."""
        self.last_seconds = answer.seconds
        self.readings = answer.readings
        if answer.problems:
            self._failed(answer.problems[0])
            return
        self._take_conditions(answer.conditions)
        self.samples += 1
        if self.failed_in_row:
            logger.info("sampler works again sampler=%s failures=%d", self.name, self.failed_in_row)
        self.failed_in_row = 0

    def hangs(self, since: float) -> None:
        """Note that a call has exceeded its time limit."""
        self.hung_since = since
        self.readings = ()
        self._failed(f"no answer within {self.timeout_seconds:g} seconds")

    def answered_late(self, answer: Outcome) -> None:
        """Note the end of a call that hung. Its values have no known time and are discarded."""
        self.hung_since = None
        self.last_seconds = answer.seconds
        self.last_error = (
            f"answered after {answer.seconds:.1f} seconds, the limit is {self.timeout_seconds:g}"
        )

    def not_started(self, error: RuntimeError) -> None:
        """Note that the system had no thread left."""
        self._failed(str(error))

    def problems(self, now: float) -> list[str]:
        """Return the present problems, with remedies.

        Args:
            now: monotonic seconds.
        """
        if self.hung_since is not None:
            return [
                (
                    f"the sampler {self.name} has not answered for {now - self.hung_since:.0f} "
                    "seconds, and its next call waits for the answer: see the kernel's log for "
                    "its device, or remove it from the setting samplers"
                )
            ]
        if self.failed_in_row > 1:
            return [
                (
                    f"the sampler {self.name} fails ({self.last_error}): fix the cause, or "
                    "remove it from the setting samplers"
                )
            ]
        return [each.text for each in self.conditions if each.is_problem]

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
                {
                    "kind": each.device.kind,
                    "label": each.device.label,
                    "id": each.device.id,
                    "name": each.device.name,
                }
                for each in self.readings
            ],
            "conditions": [
                {
                    "kind": each.device.kind,
                    "label": each.device.label,
                    "state": each.state,
                    "text": each.text,
                    "is_problem": each.is_problem,
                }
                for each in self.conditions
            ],
        }

    def _take_conditions(self, conditions: tuple[Condition, ...]) -> None:
        """Replace the conditions; each is logged when it begins and when it ends."""
        before = {(each.device.label, each.state) for each in self.conditions}
        now = {(each.device.label, each.state) for each in conditions}
        for each in conditions:
            if (each.device.label, each.state) not in before:
                level = logging.WARNING if each.is_problem else logging.INFO
                logger.log(
                    level,
                    "device changed state device=%s state=%s: %s",
                    each.device.label,
                    each.state,
                    each.text,
                )
        for label, state in sorted(before - now):
            logger.info("device left state device=%s state=%s", label, state)
        self.conditions = conditions

    def _failed(self, error: str) -> None:
        if not self.failed_in_row:
            logger.warning("sampler failed, trying again sampler=%s error=%s", self.name, error)
        self.failures += 1
        self.failed_in_row += 1
        self.last_error = error
