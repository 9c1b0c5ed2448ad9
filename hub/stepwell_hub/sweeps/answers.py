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
    """Trials by state; ``superseded`` counts attempts, ``waiting`` trials to be given again."""

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
    """An agent; ``is_alive``: it was heard of within a lease."""

    id: str
    host: str
    pid: int
    kind: AgentKind
    created_at: float
    seen_at: float
    is_alive: bool


@dataclass(frozen=True, slots=True)
class SweepAnswer:
    """A sweep. ``expected_trials``: of a grid, or the cap on runs where that is less."""

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

    ``value`` is the best finite value of the metric so far, ``last`` the last one, ``steps`` how
    many were logged. ``is_settled``: it ended, all its values are known, it changes no more.
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


@dataclass(frozen=True, slots=True)
class TrialsPage:
    trials: tuple[TrialAnswer, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ImportanceAnswer:
    """How much goes together with one parameter.

    ``share`` is 0 to 1, null for ``reason``; ``direction`` is Spearman's rank correlation, null
    where the parameter's values are not numbers.
    """

    name: str
    share: float | None
    direction: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class ImportancesAnswer:
    """Shares of the variance of the values' ranks that go together with each parameter.

    An association, not a cause. ``metric`` is null where the sweep has none. ``trials`` are those
    that count; there are no parameters below ``trials_min``. ``chance``: shuffled values give a
    larger share to no parameter in 19 of 20 cases.
    """

    metric: str | None
    trials: int
    trials_min: int
    chance: float | None
    parameters: tuple[ImportanceAnswer, ...]


@dataclass(frozen=True, slots=True)
class SweepPlace:
    """The trial whose attempt a run is; ``is_newest``: no other agent has got it since."""

    sweep_id: str
    name: str
    number: int
    fencing: int
    is_newest: bool


@dataclass(frozen=True, slots=True)
class SweepOfRun:
    """Null for a run that is of no sweep."""

    sweep: SweepPlace | None


@dataclass(frozen=True, slots=True)
class Registered:
    agent: str
    lease_seconds: float
    beat_seconds: float


@dataclass(frozen=True, slots=True)
class Handed:
    """A trial for the agent that asked."""

    number: int
    fencing: int
    run_id: str
    params: dict[str, Any]
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Order:
    """What an agent that asked is to do; ``trial`` goes with ``run``, ``seconds`` with ``wait``."""

    command: Literal["run", "wait", "exit"]
    trial: Handed | None = None
    seconds: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """An agent is to stop this attempt."""

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
    """``counted``: this end is the trial's."""

    counted: bool


@dataclass(frozen=True, slots=True)
class RunCommand:
    """A daemon is to stop this run."""

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
