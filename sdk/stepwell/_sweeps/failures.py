"""When an agent gives up: its trials fail, so more of them would fail, too. Pure, no clock."""

import os
from collections.abc import Mapping
from typing import Final

from stepwell.errors import SettingsError

FLAPPING_SECONDS: Final = 60.0
FLAPPING_FAILURES: Final = 3
INITIAL_FAILURES: Final = 5
_DISABLE: Final = ("STEPWELL_AGENT_DISABLE_FLAPPING", "WANDB_AGENT_DISABLE_FLAPPING")
_INITIAL: Final = ("STEPWELL_AGENT_MAX_INITIAL_FAILURES", "WANDB_AGENT_MAX_INITIAL_FAILURES")
_TRUE: Final = ("1", "true", "yes", "on")


class Failures:
    """Counts one agent's failed trials.

    Args:
        started_at: when the agent started, in seconds of any clock.
        initial_max: number of failures before the first success that ends it; 0: no limit.
        in_a_row_max: number of failures in a row that ends it; None: no limit.
        may_flap: three failures in the first minute do not end it.
    """

    def __init__(
        self,
        started_at: float,
        *,
        initial_max: int = INITIAL_FAILURES,
        in_a_row_max: int | None = None,
        may_flap: bool = False,
    ) -> None:
        self._started_at = started_at
        self._initial_max, self._in_a_row_max = initial_max, in_a_row_max
        self._may_flap = may_flap
        self._total = self._in_a_row = self._successes = 0
        self._has_given_up = False

    def note_success(self) -> None:
        self._successes += 1
        self._in_a_row = 0

    @property
    def is_failure(self) -> bool:
        """Whether failures ended the agent, or all of its trials failed."""
        return self._has_given_up or (self._total > 0 and not self._successes)

    def note_failure(self, now: float) -> str:
        """Count one failure; return why the agent has to end, "" to continue."""
        self._total += 1
        self._in_a_row += 1
        reason = self._reason_to_end(now)
        self._has_given_up = bool(reason)
        return reason

    def _reason_to_end(self, now: float) -> str:
        if (
            not self._may_flap
            and now - self._started_at < FLAPPING_SECONDS
            and self._total >= FLAPPING_FAILURES
        ):
            return (
                f"{self._total} trials failed in the first {FLAPPING_SECONDS:.0f} seconds, "
                f"so this agent ends; set {_DISABLE[0]}=true to disable this check"
            )
        if self._initial_max and not self._successes and self._total >= self._initial_max:
            return (
                f"the first {self._total} trials failed, so this agent ends; set "
                f"{_INITIAL[0]}=NUMBER to allow more"
            )
        if self._in_a_row_max and self._in_a_row >= self._in_a_row_max:
            return f"{self._in_a_row} trials failed in a row, so this agent ends"
        return ""


def failures_of(
    started_at: float, *, in_a_row_max: int | None = None, environ: Mapping[str, str] = os.environ
) -> Failures:
    """Return a counter with the limits of the environment.

    Raises:
        SettingsError: A limit is no number.
    """
    return Failures(
        started_at,
        initial_max=_initial_max(environ),
        in_a_row_max=in_a_row_max,
        may_flap=any(environ.get(name, "").strip().lower() in _TRUE for name in _DISABLE),
    )


def _initial_max(environ: Mapping[str, str]) -> int:
    for name in _INITIAL:
        if text := environ.get(name, "").strip():
            if not text.isdigit():
                raise SettingsError(f"{name}: expected a number of 0 or more, not {text!r}")
            return int(text)
    return INITIAL_FAILURES
