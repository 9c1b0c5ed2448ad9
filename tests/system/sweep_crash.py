"""Kill the parts of a sweep at random; in the end each point of its grid has one result.

Agents with functions and agents with commands share a sweep. Agents, trainers, the daemon and the
hub are killed with SIGKILL at random moments; agents are also ended by SIGTERM, and stopped by
SIGSTOP until another agent has their trial.

    python -m tests.system.sweep_crash --seeds 10 [--seed N] [--points 30] [--kills 20]

A failure prints the seed. The schedule of kills follows from it; the machine's timing does not.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from stepwell._hub import Hub, find_hub, new_key
from stepwell.errors import HubError
from tests.node import Node, free_port, made_node
from tests.system.sweep_agents import STEPS, config_of, loss_at
from tests.system.world import child_pid
from tests.waiting import wait_until

LEASE_SECONDS: Final = 3
_KINDS: Final = ("function", "command", "command")
_VICTIMS: Final = {"agent": 4, "trainer": 3, "daemon": 1, "hub": 2, "stopped": 3, "terminated": 2}
_FINAL: Final = ("finished", "crashed")


@dataclass
class Agent:
    kind: str
    process: subprocess.Popen[bytes]
    stopped_at: float | None = None
    is_terminated: bool = False


@dataclass
class Crash:
    """One sweep and what is killed."""

    node: Node
    random: random.Random
    points: int
    hub: Hub = field(init=False)
    sweep_id: str = ""
    agents: list[Agent] = field(default_factory=list)
    done: "Counter[str]" = field(default_factory=Counter)

    def begin(self) -> None:
        self.node.start_daemon()
        self.hub = find_hub(self.node.environment)
        config = config_of(self.points, self.node.folder)
        body = {"project": "crash", "config": config, "key": new_key()}
        made = self.hub.post("/sweeps", body)
        self.sweep_id, self.points = made["id"], made["expected_trials"]
        for kind in _KINDS:
            self.agents.append(self._agent(kind))

    def _agent(self, kind: str) -> Agent:
        words = [sys.executable, "-m", "tests.system.sweep_agents", self.sweep_id, kind]
        with (self.node.folder / "agents.log").open("ab") as log:
            process = subprocess.Popen(
                [*words, str(self.node.folder)],
                env=self.node.environment,
                stdout=log,
                stderr=log,
            )
        return Agent(kind, process)

    def kill_one(self) -> None:
        """Kill or stop one part, and start again what does not by itself."""
        victim = self.random.choices(list(_VICTIMS), list(_VICTIMS.values()))[0]
        agent = self.random.choice(self.agents)
        match victim:
            case "agent" | "terminated":
                how = signal.SIGKILL if victim == "agent" else signal.SIGTERM
                agent.process.send_signal(how)
                agent.is_terminated = True  # At once, or when it goes on.
            case "trainer":
                victim = self._kill_trainer() or "no trainer"
            case "daemon":
                self.node.stop_daemon(how=signal.SIGKILL)
                self.node.launch_daemon()
            case "hub":
                pid = child_pid(self.node, "stepwell_hub")
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            case "stopped":
                agent.process.send_signal(signal.SIGSTOP)
                agent.stopped_at = time.monotonic()
        self.done[victim] += 1

    def _kill_trainer(self) -> str:
        """Kill the child of an agent with a command; return "" where none has one now."""
        for agent in self.random.sample(self.agents, len(self.agents)):
            if agent.kind != "command":
                continue
            try:
                for child in psutil.Process(agent.process.pid).children():
                    child.kill()
                    return "trainer"
            except psutil.Error:
                continue
        return ""

    def restart_agents(self) -> None:
        """Replace agents that died; let those go on that were stopped for long enough."""
        now = time.monotonic()
        for place, agent in enumerate(self.agents):
            if agent.stopped_at is not None and now - agent.stopped_at > 2 * LEASE_SECONDS:
                agent.process.send_signal(signal.SIGCONT)
                agent.stopped_at = None
            if agent.process.poll() is not None:
                self.agents[place] = self._agent(agent.kind)

    def told(self) -> Any:
        return self.hub.get(f"/sweeps/{self.sweep_id}")

    def is_over(self) -> bool:
        self.restart_agents()
        try:
            return bool(self.told()["state"] == "finished")
        except HubError:
            return False

    def trials(self) -> list[dict[str, Any]]:
        return list(self.hub.get(f"/sweeps/{self.sweep_id}/trials?limit=10000")["trials"])

    def end_agents(self) -> None:
        for agent in self.agents:
            agent.process.send_signal(signal.SIGCONT)
        for agent in self.agents:
            code = agent.process.wait(60)
            ended = code == 0 or agent.is_terminated
            assert ended, f"an agent of a sweep that is over ended with {code}\n{self.log()}"

    def close(self) -> None:
        for agent in self.agents:
            agent.process.kill()
            agent.process.wait()

    def log(self) -> str:
        return (self.node.folder / "agents.log").read_text("utf-8", "replace")[-8000:]

    def are_values_known(self) -> bool:
        return all(each["steps"] == STEPS for each in self.trials() if each["state"] == "finished")

    def compare(self) -> dict[str, Any]:
        """Check that each point of the grid has one result, and which run has it.

        Raises:
            AssertionError: A point is lost, has two results, or a result that is not its own.
        """
        trials = self.trials()
        found = Counter((each["params"]["x"], each["params"]["y"]) for each in trials)
        assert set(found.values()) == {1}, found
        assert len(found) == self.points, f"{len(found)} of {self.points} points"
        again = 0
        for each in trials:
            *before, last = each["attempts"]
            assert {attempt["state"] for attempt in before} <= {"superseded", "preempted"}, each
            assert each["state"] == last["state"], each
            assert each["state"] in _FINAL, each
            assert each["run_id"] == last["run_id"], each
            again += len(before)
            if each["state"] == "finished":
                assert (self.node.folder / f"ran-{each['run_id']}").exists(), each
                assert each["value"] == loss_at(each["params"], STEPS - 1), each
        crashed = sum(each["state"] == "crashed" for each in trials)
        # Also a trial whose agents vanished five times is crashed.
        assert crashed <= self.done["trainer"] + sum(each["fencing"] >= 5 for each in trials)
        return {"points": len(trials), "crashed": crashed, "attempts again": again}


def run(*, seed: int, points: int, kills: int) -> dict[str, Any]:
    """Kill ``kills`` times while a sweep runs, then compare; return what happened."""
    print(f"seed={seed} points={points} kills={kills}", flush=True)
    started = time.monotonic()
    with made_node() as node:
        node.variables = {
            "STEPWELLD_HUB": "auto",
            "STEPWELLD_HUB_PORT": str(free_port()),
            "STEPWELLHUB_SWEEP_LEASE_SECONDS": str(LEASE_SECONDS),
            "STEPWELL_AGENT_DISABLE_FLAPPING": "true",
            "STEPWELL_AGENT_MAX_INITIAL_FAILURES": "1000",
        }
        crash = Crash(node, random.Random(seed), points)
        try:
            crash.begin()
            for _ in range(kills):
                time.sleep(crash.random.choice([0.1, 0.5, 1.0, 2.0]) * crash.random.random())
                if crash.is_over():
                    break
                crash.kill_one()
            wait_until(crash.is_over, "the end of the sweep", timeout_seconds=180)
            crash.end_agents()
            wait_until(crash.are_values_known, "the values of all trials", timeout_seconds=120)
            found = crash.compare()
        except AssertionError as error:
            raise AssertionError(f"seed={seed}: {error}\n{crash.log()}\n{node.log()}") from error
        finally:
            crash.close()
    return {**found, "kills": dict(crash.done), "seconds": round(time.monotonic() - started)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="sweeps, one after the other")
    parser.add_argument("--seed", type=int, help="of the first")
    parser.add_argument("--points", type=int, default=30)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    for seed in range(first, first + options.seeds):
        print(run(seed=seed, points=options.points, kills=options.kills), flush=True)


if __name__ == "__main__":
    main()
