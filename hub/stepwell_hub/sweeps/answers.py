"""What the API answers about sweeps."""

from dataclasses import dataclass
from typing import Any, Final, Literal

SweepState = Literal["pending", "running", "paused", "finished", "canceled"]
TrialState = Literal["running", "waiting", "finished", "failed", "crashed", "stopped"]
AttemptState = Literal[
    "running", "finished", "failed", "crashed", "stopped", "preempted", "superseded"
]
EndState = Literal["finished", "failed", "crashed", "stopped", "preempted"]
AgentKind = Literal["function", "command"]
StopReason = Literal["early_terminate", "canceled", "superseded"]

LEASE_SECONDS: Final = 30.0
"""The default of `HubConfig.sweep_lease_seconds`."""
BEATS_A_LEASE: Final = 6
WAIT_SECONDS: Final = 2
ENDED: Final = ("finished", "canceled")


@dataclass(frozen=True, slots=True)
class MetricAnswer:
    name: str
    goal: Literal["minimize", "maximize"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Trials by state; ``superseded`` counts attempts, ``waiting`` trials to start again."""

    running: int = 0
    waiting: int = 0
    finished: int = 0
    failed: int = 0
    crashed: int = 0
    stopped: int = 0
    superseded: int = 0


@dataclass(frozen=True, slots=True)
class Best:
    number: int
    run_id: str
    value: float


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """An agent.

    ``is_alive``: it did not say that it ends, and its last request is not older than a lease.
    ``ended_at``: when it said that it ends.
    """

    id: str
    host: str
    pid: int
    kind: AgentKind
    created_at: float
    seen_at: float
    is_alive: bool
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class SweepAnswer:
    """A sweep.

    ``expected_trials``: the size of the grid, or the cap on runs if that is smaller.
    ``deleted_runs``: trials whose run was deleted; they have no value and cannot be the best.
    """

    id: str
    project: str
    name: str
    description: str
    state: SweepState
    method: Literal["grid", "random", "bayes"]
    config: dict[str, Any]
    seed: int
    metric: MetricAnswer | None
    created_at: float
    updated_at: float
    run_cap: int | None
    expected_trials: int | None
    counts: Counts
    best: Best | None
    agents: tuple[AgentAnswer, ...]
    deleted_runs: int = 0


@dataclass(frozen=True, slots=True)
class SweepsPage:
    sweeps: tuple[SweepAnswer, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class AttemptAnswer:
    fencing: int
    run_id: str
    agent: str
    state: AttemptState


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """A trial.

    ``value`` is the best finite value of the metric so far, ``last`` the last one, ``steps`` the
    number of logged values. ``is_settled``: it ended, all its values are known, and it will not
    change unless its run is deleted. ``is_run_deleted``: the run was deleted; the trial has no
    values.
    """

    number: int
    fencing: int
    run_id: str
    state: TrialState
    params: dict[str, Any]
    value: float | None
    last: float | None
    steps: int
    is_settled: bool
    agent: str
    stop_reason: str
    exit_code: int | None
    created_at: float
    ended_at: float | None
    attempts: tuple[AttemptAnswer, ...]
    is_run_deleted: bool = False


@dataclass(frozen=True, slots=True)
class TrialsPage:
    trials: tuple[TrialAnswer, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ImportanceAnswer:
    """The importance of one parameter.

    ``share`` is 0 to 1, or null, and then ``reason`` says why. ``direction`` is Spearman's rank
    correlation, null if the parameter's values are not numbers.
    """

    name: str
    share: float | None
    direction: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class ImportancesAnswer:
    """The share of the variance of the values' ranks that each parameter explains.

    An association, not a cause. ``metric`` is null if the sweep has none. ``trials`` is the number
    of used trials; with fewer than ``trials_min`` there are no parameters. ``chance``: with
    shuffled values, all shares are below it in 19 of 20 cases.
    """

    metric: str | None
    trials: int
    trials_min: int
    chance: float | None
    parameters: tuple[ImportanceAnswer, ...]


@dataclass(frozen=True, slots=True)
class SweepPlace:
    """The trial of a run; ``is_newest``: no other agent has received the trial since."""

    sweep_id: str
    name: str
    number: int
    fencing: int
    is_newest: bool


@dataclass(frozen=True, slots=True)
class SweepOfRun:
    """``sweep`` is null if the run belongs to no sweep."""

    sweep: SweepPlace | None


@dataclass(frozen=True, slots=True)
class Registered:
    agent: str
    lease_seconds: float
    beat_seconds: float


@dataclass(frozen=True, slots=True)
class Handed:
    """A trial for the requesting agent."""

    number: int
    fencing: int
    run_id: str
    params: dict[str, Any]
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Order:
    """The answer to an agent's request; ``run`` has ``trial``, ``wait`` has ``seconds``."""

    command: Literal["run", "wait", "exit"]
    trial: Handed | None = None
    seconds: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """An attempt that the agent must stop."""

    number: int
    fencing: int
    command: Literal["stop"]
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Beat:
    state: SweepState
    commands: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """``counted``: the end of this attempt is the end of the trial."""

    counted: bool


@dataclass(frozen=True, slots=True)
class RunCommand:
    """A run that the daemon must stop."""

    project: str
    run_id: str
    command: Literal["stop"]
    reason: StopReason
    sweep: str
    number: int
    fencing: int


@dataclass(frozen=True, slots=True)
class Commands:
    cursor: str
    commands: tuple[RunCommand, ...]
