"""Kill everything at random and compare what `log` returned for with what the store holds.

Trainers log rows whose values follow from run, step and key. Each notes in a small shared file
how many calls it began and how many returned; the file outlives a SIGKILL as the journal does.
Trainers, the daemon and the engine are killed with SIGKILL at random moments and started again.
In the end the store must hold every row whose `log` returned, each exactly once; a row whose call
was cut short may be there or not. Statistics and rollups must count the very same points.

    python -m tests.system.crash --kills 1000 [--seed N] [--gateway]

With ``--gateway`` the trainers log to two daemons that relay to a third, which has the store; all
three are killed.

A failure prints the seed. The schedule of kills follows from it; the machine's timing does not.
"""

import argparse
import mmap
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from stepwell_wire.places import DATA_VARIABLE, JOURNALS_VARIABLE, SOCKET_VARIABLE

KEYS = 5
PROJECT = "crash"


def value_of(run: int, step: int, key: int) -> float:
    """Return the value that run, step and key determine; exact in float64."""
    return float((run * 1_000_003 + step * 7 + key) % 2_000_003) / 8.0


# ---------------------------------------------------------------------------- the trainer


def train(number: int, counts_path: str) -> None:
    """Log until killed. Runs in a process of its own."""
    import stepwell

    with open(counts_path, "r+b") as file:
        counts = memoryview(mmap.mmap(file.fileno(), 4096)).cast("Q")
    run = stepwell.init(project=PROJECT, id=f"crash{number}", config={"number": number})
    step = 0
    pause = random.Random(number)
    while True:
        row = {f"metric/{key}": value_of(number, step, key) for key in range(KEYS)}
        counts[0] = step + 1
        run.log(row, step=step)
        counts[1] = step + 1
        step += 1
        if step % 50 == 0:
            run.log({"note": f"at {step}"}, step=step - 1)
        if step % 97 == 0:
            run.config.update({f"late/{step}": step}, allow_val_change=True)
        if step % 64 == 0:
            time.sleep(pause.uniform(0.0, 0.02))


# ---------------------------------------------------------------------------- the world


@dataclass
class Trainer:
    number: int
    process: subprocess.Popen[bytes]
    counts_path: Path

    def counts(self) -> tuple[int, int]:
        """Return how many calls of `log` were begun and how many returned."""
        began, returned = struct.unpack("<QQ", self.counts_path.read_bytes()[:16])
        return began, returned


@dataclass
class Daemon:
    """A daemon in a folder of its own."""

    folder: Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def journals(self) -> Path:
        return self.folder / "journals"

    @property
    def log(self) -> str:
        """The end of its log."""
        return f"{self.folder.name}:\n{(self.folder / 'daemon.log').read_text()[-4000:]}"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            SOCKET_VARIABLE: str(self.socket),
            DATA_VARIABLE: str(self.data),
            JOURNALS_VARIABLE: str(self.journals),
            "STEPWELL_NO_DAEMON": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self) -> None:
        log = (self.folder / "daemon.log").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "stepwell_daemon", "--metrics-port", "0"),
                *("--socket", str(self.socket), "--data", str(self.data), *self.arguments),
            ],
            env=self.environment(),
            stdout=log,
            stderr=log,
        )
        log.close()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass
class World:
    folder: Path
    random: random.Random
    store: Daemon
    """The daemon that has the store."""
    nodes: list[Daemon]
    """The daemons that trainers log to: the same one, or those that relay to it."""
    trainers: list[Trainer] = field(default_factory=list)
    dead: list[Trainer] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=dict)

    @property
    def daemons(self) -> list[Daemon]:
        """All of them, the one with the store last: it is to outlive those that relay."""
        return [*(node for node in self.nodes if node is not self.store), self.store]

    @property
    def data(self) -> Path:
        return self.store.data

    def start_trainer(self, number: int) -> None:
        path = self.folder / f"counts-{number}"
        path.write_bytes(bytes(4096))
        log = (self.folder / "trainers.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.crash", "--train", str(number), str(path)],
            env=self.nodes[number % len(self.nodes)].environment(),
            stdout=log,
            stderr=log,
        )
        log.close()
        self.trainers.append(Trainer(number, process, path))

    def engine_pid(self) -> int | None:
        assert self.store.process is not None
        try:
            for child in psutil.Process(self.store.process.pid).children(recursive=True):
                if any("stepwell_store.engine" in word for word in child.cmdline()):
                    return child.pid
        except psutil.Error:
            pass
        return None

    def kill_one(self, next_number: int) -> str:
        """SIGKILL a trainer, a daemon or the engine; start again what does not by itself."""
        victim = self.random.choices(["trainer", "daemon", "engine"], [5, 3, 2])[0]
        if victim == "engine":
            deadline = time.monotonic() + 5.0  # A daemon that just started has none yet.
            while (pid := self.engine_pid()) is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if pid is None:
                victim = "daemon"
            else:
                os.kill(pid, signal.SIGKILL)
        if victim == "daemon":
            daemon = self.random.choice(self.daemons)
            if len(self.daemons) > 1:
                victim = "gateway" if daemon is self.store else "node"
            daemon.kill()
            if self.random.random() < 0.3:
                time.sleep(self.random.uniform(0.0, 0.5))
            daemon.start()
        elif victim == "trainer":
            trainer = self.trainers.pop(self.random.randrange(len(self.trainers)))
            trainer.process.kill()
            trainer.process.wait()
            self.dead.append(trainer)
            self.start_trainer(next_number)
        self.kills[victim] = self.kills.get(victim, 0) + 1
        return victim

    def stop_trainers(self) -> None:
        for trainer in self.trainers:
            trainer.process.kill()
            trainer.process.wait()
            self.dead.append(trainer)
        self.trainers.clear()

    def close(self) -> None:
        self.stop_trainers()
        for daemon in self.daemons:
            daemon.close()


def free_port() -> int:
    """Return a port that is free now and, being new, is not given out again at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _daemons(folder: Path, *, gateway: bool) -> tuple[Daemon, list[Daemon]]:
    if not gateway:
        alone = Daemon(folder / "d")
        return alone, [alone]
    address = f"127.0.0.1:{free_port()}"
    relay = ("--sink", "gateway", "--gateway-address", address)
    return (
        Daemon(folder / "g", ("--gateway-listen", address)),
        [Daemon(folder / "n0", relay), Daemon(folder / "n1", relay)],
    )


@contextmanager
def world(seed: int, *, gateway: bool = False, keep: bool = False) -> Iterator[World]:
    # Short: a unix socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sw-crash-"))
    made = World(folder, random.Random(seed), *_daemons(folder, gateway=gateway))
    for daemon in made.daemons:
        daemon.data.mkdir(parents=True)
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


# ---------------------------------------------------------------------------- the comparison


def wait_until_stored(made: World, *, timeout_seconds: float) -> None:
    """Wait until no journal is left and the daemon says that all it has is in the store."""
    import grpc

    from stepwell_wire.control_pb2 import FlushReply, FlushRequest
    from stepwell_wire.journal import find_journals
    from stepwell_wire.service import FLUSH

    deadline = time.monotonic() + timeout_seconds
    problem = ""
    for daemon in made.daemons:  # Those that relay first.
        while True:
            left = find_journals(daemon.journals)
            try:
                with grpc.insecure_channel(f"unix:{daemon.socket}") as channel:
                    flush = channel.unary_unary(
                        FLUSH, FlushRequest.SerializeToString, FlushReply.FromString
                    )
                    reply = flush(FlushRequest(timeout_seconds=20), timeout=30)
                if reply.stored and not left:
                    break
                problem = f"{len(left)} journals left, stored={reply.stored} {reply.detail}"
            except grpc.RpcError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                log = "\n".join(each.log for each in made.daemons)
                raise AssertionError(f"not stored after {timeout_seconds} s: {problem}\n{log}")
            time.sleep(0.5)


def compare(made: World) -> dict[str, Any]:
    """Compare the store with what every trainer noted; return the totals.

    Raises:
        AssertionError: A point is lost, doubled or changed.
    """
    from stepwell_store import connect_embedded

    store = connect_embedded(made.data)
    try:
        rows = store.query(
            """
            SELECT s.run_id AS run_id, s.metric AS metric,
                   arraySort(groupArray((p.step, p.value))) AS points
            FROM points AS p
            INNER JOIN (SELECT DISTINCT series, run_id, metric FROM series) AS s
                ON s.series = p.series
            GROUP BY run_id, metric
            """,
            timeout_seconds=120,
        )
        held = {(row["run_id"], row["metric"]): row["points"] for row in rows}
        total = returned_total = open_calls = 0
        for trainer in made.dead:
            began, returned = trainer.counts()
            returned_total += returned
            open_calls += began - returned
            for key in range(KEYS):
                points = held.pop((f"crash{trainer.number}", f"metric/{key}"), [])
                where = f"run crash{trainer.number} metric/{key}: began={began} returned={returned}"
                assert returned <= len(points) <= began, f"{where}: the store holds {len(points)}"
                for step, (stored_step, value) in enumerate(points):
                    assert int(stored_step) == step, f"{where}: step {step} lost or doubled"
                    want = value_of(trainer.number, step, key)
                    assert value == want, f"{where}: step {step} is {value}, not {want}"
                total += len(points)
        assert not held, f"series that nobody logged: {sorted(held)[:5]}"
        for table in ("series_stats", "rollups WHERE width = 64", "rollups WHERE width = 512"):
            (counted,) = store.query(f"SELECT sum(count) AS n FROM {table}")
            assert int(counted["n"]) == total, f"{table} counts {counted['n']} points, not {total}"
    finally:
        store.close()
    return {"points": total, "rows_returned": returned_total, "calls_cut_short": open_calls}


def run(
    *, kills: int, seed: int, trainers: int = 3, gateway: bool = False, keep: bool = False
) -> dict[str, Any]:
    """Kill ``kills`` times, then compare. Returns what happened, for the report."""
    print(f"seed={seed} kills={kills} gateway={gateway}", flush=True)
    with world(seed, gateway=gateway, keep=keep) as made:
        for daemon in made.daemons:
            daemon.start()
        number = 0
        for _ in range(trainers):
            made.start_trainer(number)
            number += 1
        time.sleep(2.0)
        for _ in range(kills):
            # Mostly in quick succession, now and then long enough for all to be well again.
            time.sleep(made.random.choice([0.02, 0.1, 0.3, 0.3, 0.6, 1.5]) * made.random.random())
            if made.kill_one(number) == "trainer":
                number += 1
            for daemon in made.daemons:
                assert daemon.process is not None
                if daemon.process.poll() is not None:
                    code = daemon.process.returncode
                    raise AssertionError(f"a daemon ended by itself: {code}\n{daemon.log}")
        made.stop_trainers()
        wait_until_stored(made, timeout_seconds=180)
        return {**compare(made), "kills": dict(made.kills), "runs": number}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--gateway", action="store_true", help="over two daemons that relay")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the test")
    parser.add_argument("--train", nargs=2, metavar=("NUMBER", "COUNTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(int(options.train[0]), options.train[1])
        return
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(run(kills=options.kills, seed=seed, gateway=options.gateway, keep=options.keep))


if __name__ == "__main__":
    main()
