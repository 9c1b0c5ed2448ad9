"""What the daemon counts, and the rates of the last seconds."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field


class Rate:
    """Sums of the last ``seconds`` seconds, kept by whole second."""

    def __init__(self, seconds: int = 5) -> None:
        self._seconds = seconds
        self._parts: deque[tuple[int, int]] = deque(maxlen=seconds + 1)

    def add(self, amount: int) -> None:
        now = int(time.monotonic())
        if self._parts and self._parts[-1][0] == now:
            self._parts[-1] = (now, self._parts[-1][1] + amount)
        else:
            self._parts.append((now, amount))

    def per_second(self) -> float:
        since = int(time.monotonic()) - self._seconds
        return sum(amount for at, amount in self._parts if at > since) / self._seconds


@dataclass
class Counters:
    """Totals since the start of this process; only the loop's thread writes them."""

    points_received: int = 0
    points_stored: int = 0
    frames_received: int = 0
    bytes_received: int = 0
    duplicate_bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    set_aside_records: int = 0
    recovered_journals: int = 0
    inserts: int = 0
    insert_seconds: float = 0.0
    insert_errors: int = 0
    receive_rate: Rate = field(default_factory=Rate)
    store_rate: Rate = field(default_factory=Rate)
    byte_rate: Rate = field(default_factory=Rate)
