"""Trainers, daemons and a store, of which anything may be killed; in the end all is compared."""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from tests.faults.oracle import stored_points, wait_until_stored
from tests.node import Node, free_port
from tests.servers.clickhouse import ClickHouseServer, stored_in
from tests.system.trainers import KEYS, Trainer, value_of

Shape = Literal["embedded", "gateway", "server"]
"""One daemon with the embedded engine; two that relay to one that has it; one and a server."""


def child_pid(node: Node, module: str) -> int | None:
    """Return the process of a node's daemon that runs ``module``, None where none does now."""
    assert node.daemon is not None
    try:
        for child in psutil.Process(node.daemon.pid).children(recursive=True):
            if any(module in word for word in child.cmdline()):
                return child.pid
    except psutil.Error:
        pass
    return None


@dataclass
class World:
    folder: Path
    random: random.Random
    store: Node
    """Its daemon has the store."""
    nodes: list[Node]
    """The nodes on which trainers log: the same one, or those that relay to it."""
    server: ClickHouseServer | None = None
    trainers: list[Trainer] = field(default_factory=list)
    dead: list[Trainer] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)
    module: str = "tests.system.trainers"
    """What trainers run."""
    victims: dict[str, int] = field(
        default_factory=lambda: {"trainer": 5, "daemon": 3, "engine": 2}
    )
    """What is killed, and how often in comparison."""

    @property
    def with_daemons(self) -> list[Node]:
        """All of them, the one with the store last: it is to outlive those that relay."""
        return [*(node for node in self.nodes if node is not self.store), self.store]

    def start_trainer(self, number: int) -> None:
        node = self.nodes[number % len(self.nodes)]
        self.trainers.append(Trainer.started(number, self.folder, node.environment, self.module))

    def kill_trainer(self, place: int) -> None:
        trainer = self.trainers.pop(place)
        trainer.kill()
        self.dead.append(trainer)

    def kill_one(self, next_number: int) -> str:
        """SIGKILL a trainer, a daemon or the store; start again what does not by itself."""
        victim = self.random.choices(list(self.victims), list(self.victims.values()))[0]
        if victim == "hub":
            victim = self._kill_child("stepwell_hub", "hub")
        elif victim == "worker":
            victim = self._kill_child("stepwell_daemon.blobs.worker", "worker")
        if victim == "engine":
            victim = self._kill_server() if self.server is not None else self._kill_engine()
        if victim == "daemon":
            node = self.random.choice(self.with_daemons)
            if len(self.with_daemons) > 1:
                victim = "gateway" if node is self.store else "node"
            node.stop_daemon(how=signal.SIGKILL)
            if self.random.random() < 0.3:
                time.sleep(self.random.uniform(0.0, 0.5))
            node.launch_daemon()
        elif victim == "trainer":
            self.kill_trainer(self.random.randrange(len(self.trainers)))
            self.start_trainer(next_number)
        self.kills[victim] = self.kills.get(victim, 0) + 1
        return victim

    def _kill_server(self) -> str:
        assert self.server is not None
        self.server.kill()
        self.server.start()
        return "server"

    def _kill_engine(self) -> str:
        return self._kill_child("stepwell_store.engine", "engine")

    def _kill_child(self, module: str, victim: str) -> str:
        """Kill the daemon's child that runs ``module``; return "daemon" where there is none."""
        deadline = time.monotonic() + 5.0  # A daemon that just started has none yet.
        while (pid := child_pid(self.store, module)) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if pid is None:
            return "daemon"
        os.kill(pid, signal.SIGKILL)
        return victim

    def check_daemons(self) -> None:
        """Raise an AssertionError if a daemon ended without a kill."""
        for node in self.with_daemons:
            assert node.daemon is not None
            code = node.daemon.poll()
            assert code is None, f"a daemon ended by itself: {code}\n{node.log()}"

    def stop_trainers(self) -> None:
        while self.trainers:
            self.kill_trainer(0)

    def wait_until_stored(self, *, timeout_seconds: float) -> None:
        for node in self.with_daemons:  # Those that relay first.
            wait_until_stored(node, timeout_seconds=timeout_seconds)

    def compare(self) -> dict[str, Any]:
        """Compare the store with what every trainer noted; return the totals.

        Raises:
            AssertionError: A point is lost, doubled or changed.
        """
        held = stored_points(self.store)
        total = returned_total = open_calls = 0
        for trainer in self.dead:
            began, returned = trainer.counts()
            returned_total += returned
            open_calls += began - returned
            for key in range(KEYS):
                points = held.pop((f"crash{trainer.number}", f"metric/{key}"), [])
                where = f"run crash{trainer.number} metric/{key}: began={began} returned={returned}"
                assert returned <= len(points) <= began, f"{where}: the store holds {len(points)}"
                for step, (stored_step, value) in enumerate(points):
                    assert stored_step == step, f"{where}: step {step} lost or doubled"
                    want = value_of(trainer.number, step, key)
                    assert value == want, f"{where}: step {step} is {value}, not {want}"
                total += len(points)
        assert not held, f"series that were not logged: {sorted(held)[:5]}"
        return {"points": total, "rows_returned": returned_total, "calls_cut_short": open_calls}

    def close(self) -> None:
        self.stop_trainers()
        for node in self.with_daemons:
            if node.daemon is not None and node.daemon.poll() is None:
                node.stop_daemon()
        if self.server is not None:
            self.server.stop()


def _made(folder: Path, seed: int, shape: Shape) -> World:
    def node(name: str, *arguments: str) -> Node:
        (folder / name).mkdir()
        return Node(folder / name, arguments=arguments)

    chance = random.Random(seed)
    if shape == "gateway":
        address = f"127.0.0.1:{free_port()}"
        relay = ("--sink", "gateway", "--gateway-address", address)
        store = node("g", "--gateway-listen", address)
        return World(folder, chance, store, [node("n0", *relay), node("n1", *relay)])
    alone = node("d")
    if shape == "embedded":
        return World(folder, chance, alone, [alone])
    server = ClickHouseServer(folder / "server")
    server.start()
    alone.variables = stored_in(server.address)
    return World(folder, chance, alone, [alone], server)


@contextmanager
def world(seed: int, shape: Shape = "embedded", *, keep: bool = False) -> Iterator[World]:
    """Make a world in which nothing but the server runs yet."""
    # Short: a unix socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sw-crash-"))
    made = _made(folder, seed, shape)
    try:
        yield made
    except BaseException:
        keep = True
        print(f"kept for a look: {folder}", file=sys.stderr)
        raise
    finally:
        made.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
