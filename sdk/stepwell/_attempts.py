"""Attempts to reach the daemon: when the next one is due, and what stands in the way."""

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
"""Between looks for a daemon that was just started."""
_OBSTACLES_MAX: Final = 16
_GAPS_AT_ONCE: Final = 3  # So many in a row are no mistake that the next welcome corrects.
_REMEDIES: Final = {
    "MALFORMED": "this is a bug of stepwell, please report it with the journal",
    "UNSUPPORTED_VERSION": "use the same release of stepwell for the daemon and for training",
    "LIMIT": "see the daemon's limits in `stepwell status`",
    "POSITION": "give the run a new id, or bring the daemon's data folder back",
}


class Attempts:
    """A writer's attempts; a failed one is followed by a longer rest than the one before.

    Attributes:
        stopped_for: the refusal after which there is no further attempt.
        ever_connected: whether one succeeded.
        obstacle: why nothing can be delivered until somebody changes something; "" where it can.
        last_obstacle: the same as of the last attempt, also while the next one is awaited.
        next_at: when the next one is due, on the monotonic clock.
    """

    def __init__(self, socket: str, personal: PersonalDaemon, say: Callable[[str], None]) -> None:
        self.stopped_for: RefusedError | None = None
        self.ever_connected = False
        self.obstacle = self.last_obstacle = ""
        self.next_at = 0.0
        self._socket, self._personal, self._say = socket, personal, say
        self._obstacles_said: set[str] = set()
        self._at_once = False
        self._failures = 0

    def hasten(self) -> None:
        """Somebody waits: the next attempt is due now, whatever the last one said."""
        self.obstacle = ""
        self._at_once = True

    def is_due(self) -> bool:
        at_once, self._at_once = self._at_once, False
        return at_once or time.monotonic() >= self.next_at

    def see_to_daemon(self) -> None:
        """Return where a daemon listens; else do what can be done that one comes.

        Raises:
            DaemonUnreachableError: None listens now.
        """
        look = look_at(self._socket)
        if not look.answers:
            obstacle = look.obstacle or self._personal.see_to()
            raise DaemonUnreachableError(self._socket, "nobody listens", obstacle=obstacle)

    def note_success(self) -> None:
        self.ever_connected = True
        self._failures = 0
        self.obstacle = self.last_obstacle = ""
        self._personal.note_answer()

    def note_failure(self, error: Exception, *, folder: Path, oldest: int) -> None:
        """Say what somebody should know of it, once, and rest as long as it asks for.

        Args:
            folder: the journal, which keeps what is not delivered.
            oldest: the oldest position that it still holds.
        """
        self.obstacle = error.obstacle if isinstance(error, DaemonUnreachableError) else ""
        self.last_obstacle = self.obstacle
        self._tell_obstacle(folder)
        self._failures += 1
        if isinstance(error, RefusedError):
            if is_for_good(error, oldest):
                self.stopped_for = error
                remedy = _REMEDIES.get(error.code, _REMEDIES["POSITION"])
                self._say(f"{error}; the journal keeps everything, {remedy}")
                return
            if error.code == "GAP" and self._failures < _GAPS_AT_ONCE:
                self.next_at = 0.0  # The next welcome says where to go on.
                return
        longest = _STARTING_SECONDS_MAX if self._personal.expected else RETRY_SECONDS_MAX
        delay = min(longest, RETRY_SECONDS_MIN * 2 ** min(self._failures - 1, 10))
        self.next_at = time.monotonic() + delay * random.Random().uniform(0.5, 1.0)

    def was_told(self, obstacle: str) -> bool:
        """Return whether a line said ``obstacle`` before."""
        return obstacle in self._obstacles_said

    def _tell_obstacle(self, folder: Path) -> None:
        obstacle, said = self.obstacle, self._obstacles_said
        if obstacle and obstacle not in said and len(said) < _OBSTACLES_MAX:
            said.add(obstacle)
            self._say(f"{obstacle}. Logged rows are kept in {folder}; `stepwell sync` sends them")
