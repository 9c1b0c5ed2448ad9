"""Attempts to reach the daemon: the time of the next one, and the obstacle."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stepwell._delivery import is_for_good
from stepwell._personal import PersonalDaemon
from stepwell._spawn import look_at
from stepwell.errors import DaemonUnreachableError, RefusedError

RETRY_SECONDS_MIN: Final = 0.1
RETRY_SECONDS_MAX: Final = 5.0
_STARTING_SECONDS_MAX: Final = 0.5
"""Time between two checks for a daemon that was just started."""
_OBSTACLES_MAX: Final = 16
_GAPS_AT_ONCE: Final = 3  # From so many in a row on, the next attempt waits.
_REMEDIES: Final = {
    "MALFORMED": "this is a bug in stepwell, please report it with the journal",
    "UNSUPPORTED_VERSION": "use the same release of stepwell for the daemon and for training",
    "LIMIT": "see the daemon's limits in `stepwell status`",
    "POSITION": "give the run a new id, or restore the daemon's data folder",
}


class Attempts:
    """A writer's attempts; after each failed one the pause is longer.

    Attributes:
        stopped_for: the refusal after which there is no further attempt.
        ever_connected: whether one succeeded.
        obstacle: the reason, if delivery needs an action of the user first; else "".
        last_obstacle: the obstacle of the last attempt, also before the next one.
        next_at: the time of the next attempt, on the monotonic clock.
    """

    def __init__(self, socket: str, personal: PersonalDaemon, say: Callable[[str], None]) -> None:
        self.stopped_for: RefusedError | None = None
        self.ever_connected = False
        self.obstacle = self.last_obstacle = ""
        self.next_at = 0.0
        self._socket, self._personal, self._say = socket, personal, say
        self._reported_obstacles: set[str] = set()
        self._at_once = False
        self._failures = 0

    def retry_now(self) -> None:
        """Make the next attempt due now, because a caller waits."""
        self.obstacle = ""
        self._at_once = True

    def is_due(self) -> bool:
        at_once, self._at_once = self._at_once, False
        return at_once or time.monotonic() >= self.next_at

    def ensure_daemon(self) -> None:
        """Check that a daemon listens; without one, try to start it.

        Raises:
            DaemonUnreachableError: No daemon listens now.
        """
        look = look_at(self._socket)
        if not look.answers:
            obstacle = look.obstacle or self._personal.ensure_started()
            raise DaemonUnreachableError(self._socket, "no process listens", obstacle=obstacle)

    def note_success(self) -> None:
        self.ever_connected = True
        self._failures = 0
        self.obstacle = self.last_obstacle = ""
        self._personal.note_answer()

    def note_failure(self, error: Exception, *, folder: Path, oldest: int) -> None:
        """Report a failed attempt once, and set the pause before the next one.

        Args:
            folder: the journal, which keeps undelivered data.
            oldest: the oldest position that it still holds.
        """
        self.obstacle = error.obstacle if isinstance(error, DaemonUnreachableError) else ""
        self.last_obstacle = self.obstacle
        self._report_obstacle(folder)
        self._failures += 1
        if isinstance(error, RefusedError):
            if is_for_good(error, oldest):
                self.stopped_for = error
                remedy = _REMEDIES.get(error.code, _REMEDIES["POSITION"])
                self._say(f"{error}; the journal keeps all rows; {remedy}")
                return
            if error.code == "GAP" and self._failures < _GAPS_AT_ONCE:
                self.next_at = 0.0  # The next welcome gives the position to continue from.
                return
        longest = _STARTING_SECONDS_MAX if self._personal.expected else RETRY_SECONDS_MAX
        delay = min(longest, RETRY_SECONDS_MIN * 2 ** min(self._failures - 1, 10))
        self.next_at = time.monotonic() + delay * random.Random().uniform(0.5, 1.0)

    def was_reported(self, obstacle: str) -> bool:
        """Return whether ``obstacle`` was printed before."""
        return obstacle in self._reported_obstacles

    def _report_obstacle(self, folder: Path) -> None:
        obstacle, said = self.obstacle, self._reported_obstacles
        if obstacle and obstacle not in said and len(said) < _OBSTACLES_MAX:
            said.add(obstacle)
            self._say(f"{obstacle}. Logged rows are kept in {folder}; `stepwell sync` sends them")
