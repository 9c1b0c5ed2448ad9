"""Writers: the daemon's facts of them, kept for good or while they may come back."""

import socket
from collections.abc import Collection
from typing import Final

from stepwell_daemon.samplers.protocol import Trainer
from stepwell_daemon.spool.record import writer_number
from stepwell_daemon.writer_packing import KEPT_DAYS
from stepwell_daemon.writer_state import WriterState

_SCHEMAS_KEPT_SECONDS: Final = 60.0


class Registry:
    """All writers, by number."""

    def __init__(self, states: dict[int, WriterState]) -> None:
        self.states = states

    def get(self, writer_id: str) -> WriterState | None:
        return self.states.get(writer_number(writer_id))

    def add(self, state: WriterState) -> None:
        self.states[state.number] = state

    def connected(self) -> list[WriterState]:
        return [state for state in self.states.values() if state.session is not None]

    def relayed(self) -> list[WriterState]:
        """Return the runs' writers that log to another daemon now, which relays to this one."""
        found = self.states.values()
        return [state for state in found if state.is_relayed and not state.info.is_node]

    def journal_dirs(self, *, ended: bool = False) -> set[str]:
        """Return the folders that contain the journals of writers, or may do so.

        Args:
            ended: of writers whose end is known only.
        """
        found = (state for state in self.states.values() if state.finished or not ended)
        return {state.journal_dir for state in found if state.journal_dir}

    def forget_journals(self, gone: Collection[str]) -> None:
        """Note that the folders ``gone`` were removed: their writers have ended for good."""
        for state in self.states.values():
            if state.journal_dir in gone and state.finished and state.session is None:
                state.forget_journal()

    def forget_idle(self, *, now: float, monotonic: float) -> None:
        """Forget unneeded facts: schemas of writers that left, writers unseen for a month.

        A writer that comes back sends its schemas again.
        """
        for number, state in list(self.states.items()):
            if state.session is not None or state.pending:
                continue
            if state.seen_at < now - KEPT_DAYS * 86_400:
                del self.states[number]
                continue
            left = state.disconnected_at
            if left is not None and monotonic - left > _SCHEMAS_KEPT_SECONDS:
                state.forget_schemas()


def trainers(registry: Registry, *, host: str = "") -> list[Trainer]:
    """Return the processes of this node that log into runs now. Any thread may call it.

    A process in a container with a separate host name and separate process ids is left out: its
    number would name another process here.

    Args:
        host: this node's name, by default the system's.
    """
    host = host or socket.gethostname()
    # One step of C, because the loop may add to it at the same time.
    states = list(registry.states.values())
    return [
        Trainer(state.info.pid, state.info.writer_id)
        for state in states
        if state.session is not None
        and not state.via
        and not state.info.is_node
        and state.info.host == host
        and state.info.pid > 0
    ]
