"""A store in memory with the promises of a real one, and ways to break them."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from stepwell_store import Block, StoreRejectedError, StoreUnavailableError, WriterInfo
from stepwell_store.native import decode_blocks


def sink_that_rejects(step: int) -> "FakeSink":
    """Return a sink that refuses each block of points that has a row of ``step``."""
    sink = FakeSink()

    def rejects(block: Block) -> bool:
        if block.table != "points":
            return False
        alone = FakeSink()
        alone.blocks = [block]
        return step in alone.steps()

    sink.rejects = rejects
    return sink


class FakeSink:
    """Keeps what is inserted, once a token; forgets nothing between "processes".

    Attributes:
        unavailable: so many inserts fail before anything is stored.
        uncertain: so many inserts fail after they stored their rows.
        rejects: says whether a block is refused for good.
    """

    kind = "fake"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tokens: dict[str, str] = {}
        self.blocks: list[Block] = []
        self.unavailable = 0
        self.uncertain = 0
        self.rejects: Callable[[Block], bool] = lambda block: False
        self.before_insert: Callable[[Block], None] = lambda block: None
        self.closed = False

    def migrate(self) -> None:
        pass

    def shard_of(self, writer: WriterInfo) -> int:
        return 0

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        self.before_insert(block)
        with self.lock:
            if self.unavailable:
                self.unavailable -= 1
                raise StoreUnavailableError("the fake store is away")
            if self.rejects(block):
                raise StoreRejectedError("the fake store does not like it")
            content = b"".join(bytes(piece) for piece in block.native()).hex()
            if token in self.tokens:
                assert self.tokens[token] == content, "one token, two contents"
            else:
                self.tokens[token] = content
                self.blocks.append(block)
            if self.uncertain:
                self.uncertain -= 1
                raise StoreUnavailableError("the fake store took it and did not say so")

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, object] | None = None,
        timeout_seconds: float = 3,
    ) -> list[dict[str, Any]]:
        return []

    def arrays(self, sql: str, **_: Any) -> dict[str, Any]:
        return {}

    def delete_rows(self, table: str, condition: str, parameters: Mapping[str, object]) -> None:
        pass

    def expire(self, table: str, days: int) -> None:
        pass

    def ping(self, timeout_seconds: float = 2) -> bool:
        return not self.closed

    def close(self) -> None:
        self.closed = True

    def columns(self, table: str) -> list[dict[str, list[Any]]]:
        """Return the columns of every block of ``table``, as lists."""
        return [
            {name: values.tolist() for name, values in columns.items()}
            for block in self.blocks
            if block.table == table
            for columns in [decode_blocks(b"".join(bytes(piece) for piece in block.native()))]
        ]

    def points(self) -> Counter[tuple[int, int, float]]:
        """Return how often each (series, step, value) is stored."""
        found: Counter[tuple[int, int, float]] = Counter()
        for columns in self.columns("points"):
            found.update(zip(columns["series"], columns["step"], columns["value"], strict=True))
        return found

    def steps(self) -> list[int]:
        """Return the steps of all points, sorted, repeated ones repeatedly."""
        return sorted(step for columns in self.columns("points") for step in columns["step"])
