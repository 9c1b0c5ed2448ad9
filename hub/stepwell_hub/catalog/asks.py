"""Asks for trials: answers to the agents of a sweep that ask, in one transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import AnsweredKey, Attempt, Sweep, SweepAgent, Trial
from stepwell_hub.catalog.sweep_rows import (
    DELETED,
    agents_of,
    answered_of,
    config_of,
    end_attempt,
    end_trial,
    expected_trials,
    finish_if_done,
    locked,
    no_agent,
    order_stop,
)
from stepwell_hub.catalog.sweeps import new_id
from stepwell_hub.errors import SweepNotFoundError
from stepwell_hub.sweeps.answers import (
    ENDED,
    WAIT_SECONDS,
    Handed,
    Order,
)
from stepwell_hub.sweeps.bayes import Seen
from stepwell_hub.sweeps.config import SweepConfig
from stepwell_hub.sweeps.search import grid_trial, random_trial

ATTEMPTS_MAX: Final = 5
"""A trial whose agents disappeared so often is crashed: it may kill them."""
_FRESH_SECONDS: Final = 10.0
"""The search by model waits so long for the values of a trial that ended."""
_BEGINNING: Final[dict[str, Any]] = {
    "state": "running",
    "stop_reason": "",
    "best": None,
    "last": None,
    "steps": 0,
    "bands": "{}",
    "is_settled": False,
    "run_presence": "",
}
"""Values of a trial when an attempt begins."""
# Made once, like those of `sweep_rows`.
_OPEN: Final = (
    select(Trial)
    .where(
        Trial.sweep_id == bindparam("sweep_id"),
        or_(
            Trial.state == "waiting",
            (Trial.state == "running") & (Trial.lease_until < bindparam("expired_at")),
        ),
    )
    .order_by(Trial.number)
)
_TABLES: Final[tuple[Any, ...]] = (Trial.__table__, Attempt.__table__, AnsweredKey.__table__)
_INSERTS: Final = tuple(insert(table) for table in _TABLES)
_AGENTS: Final[Any] = SweepAgent.__table__
_SEEN: Final = (
    update(_AGENTS)
    .where(_AGENTS.c.id.in_(bindparam("ids", expanding=True)))
    .values(seen_at=bindparam("now"))
)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Parameters that the model chose for a trial number."""

    number: int
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The model is to choose the parameters of a trial.

    Attributes:
        number: of the trial.
        awaited: values of trials that just ended are not known yet.
    """

    number: int
    config: SweepConfig
    seed: int
    seen: tuple[Seen, ...]
    awaited: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """One agent's question.

    Attributes:
        suggestion: the model's; used if its number is still the next.
    """

    agent_id: str
    key: str
    suggestion: Suggestion | None = None


Asked = Order | Wanted | SweepNotFoundError


def ask(
    catalog: Catalog,
    sweep_id: str,
    asks: Sequence[Ask],
    *,
    now: float,
    expired_at: float,
    lease_seconds: float,
) -> list[Asked]:
    """Answer each agent with a trial, or with another order.

    All waiting agents are answered in one transaction; otherwise 64 agents would wait for 64.

    Args:
        expired_at: leases that ended before are over.
        lease_seconds: of the trials that are handed out.

    Returns:
        In the order of ``asks``; an error where the sweep has no such agent.

    Raises:
        SweepNotFoundError: There is no such sweep.
    """
    with catalog.changing() as session:
        sweep = locked(session, sweep_id)
        return _Asking(session, sweep, asks, now, expired_at, lease_seconds).answers()


class _Asking:
    """Several asks of one sweep, answered in turn."""

    def __init__(
        self,
        session: Session,
        sweep: Sweep,
        asks: Sequence[Ask],
        now: float,
        expired_at: float,
        lease_seconds: float,
    ) -> None:
        self._session, self._sweep, self._asks = session, sweep, asks
        self._now, self._lease_seconds = now, lease_seconds
        self._config = config_of(sweep)
        self._expected = expected_trials(self._config)
        self._scope = f"{sweep.id}:ask"
        self._answered = answered_of(session, self._scope, [each.key for each in asks])
        self._agents = agents_of(session, sweep.id, [each.agent_id for each in asks])
        self._seen: set[str] = set()
        self._open = iter(self._open_trials(expired_at))
        self._trials: list[dict[str, Any]] = []
        self._attempts: list[dict[str, Any]] = []
        self._answers: list[dict[str, Any]] = []
        rows = (self._trials, self._attempts, self._answers)
        self._rows = tuple(zip(_INSERTS, rows, strict=True))
        self._wanted: Wanted | None = None

    def answers(self) -> list[Asked]:
        found = [self._answer(each) for each in self._asks]
        self._write()
        if self._seen:
            self._session.execute(_SEEN, {"ids": sorted(self._seen), "now": self._now})
        return found

    def _answer(self, ask: Ask) -> Asked:
        known = self._answered.get(ask.key)
        if known is not None:
            return Order("run", Handed(**known))
        if ask.agent_id not in self._agents:
            return no_agent(self._sweep.id, ask.agent_id)
        self._seen.add(ask.agent_id)
        if self._sweep.state in ENDED:
            return Order("exit", reason=f"the sweep is {self._sweep.state}")
        if self._sweep.state == "paused":
            return Order("wait", seconds=WAIT_SECONDS, reason="the sweep is paused")
        given = self._again(ask) or self._next(ask)
        if isinstance(given, Handed):
            self._wanted = None
            self._answered[ask.key] = told = {
                "number": given.number,
                "fencing": given.fencing,
                "run_id": given.run_id,
                "params": given.params,
                "lease_seconds": given.lease_seconds,
            }
            self._answers.append(
                {
                    "scope": self._scope,
                    "key": ask.key,
                    "answer": json.dumps(told),
                    "created_at": self._now,
                }
            )
            return Order("run", given)
        return given

    def _write(self) -> None:
        """Write the new rows, many in one statement: as ORM objects they cost ten times as much."""
        for statement, rows in self._rows:
            if rows:
                self._session.execute(statement, rows)
                rows.clear()

    def _open_trials(self, expired_at: float) -> Sequence[Trial]:
        """Return the trials that no agent holds any more."""
        if self._sweep.state in ENDED or self._sweep.state == "paused":
            return ()
        wanted = {"sweep_id": self._sweep.id, "expired_at": expired_at}
        return self._session.execute(_OPEN, wanted).scalars().all()

    def _again(self, ask: Ask) -> Handed | None:
        """Hand out again a trial that no agent holds any more."""
        session, sweep, now = self._session, self._sweep, self._now
        for trial in self._open:
            if trial.state == "running":
                if trial.stop_reason or trial.fencing >= ATTEMPTS_MAX:
                    end_trial(
                        session, sweep, trial, "stopped" if trial.stop_reason else "crashed", now
                    )
                    continue
                order_stop(session, sweep, trial, "superseded", now)
                end_attempt(session, trial, "superseded", now)
            return self._attempt_again(trial, ask.agent_id)
        return None

    def _next(self, ask: Ask) -> Handed | Order | Wanted:
        """Hand out the next trial of the search."""
        sweep, config, number = self._sweep, self._config, self._sweep.next_number
        if self._expected is not None and number > self._expected:
            self._write()
            finish_if_done(self._session, sweep, self._now)
            if sweep.state in ENDED:
                return Order("exit", reason=f"the sweep is {sweep.state}")
            # Another agent may disappear: its trial is given to a waiting agent.
            return Order(
                "wait",
                seconds=WAIT_SECONDS,
                reason="all trials are started, some are still running",
            )
        params: dict[str, Any] | None
        match config.method:
            case "grid":
                params = grid_trial(config, number)
                assert params is not None, "it would be exhausted"
            case "random":
                params = random_trial(config, sweep.seed, number)
            case "bayes":
                if ask.suggestion is None or ask.suggestion.number != number:
                    if self._wanted is None:
                        self._write()
                        self._wanted = _wanted(self._session, sweep, config, self._now)
                    return self._wanted
                params = ask.suggestion.params
        sweep.next_number = number + 1
        run_id = new_id()
        self._trials.append(
            {
                "sweep_id": sweep.id,
                "number": number,
                "params": json.dumps(params),
                "fencing": 1,
                "run_id": run_id,
                "agent_id": ask.agent_id,
                "lease_until": self._now + self._lease_seconds,
                "created_at": self._now,
                **_BEGINNING,
            }
        )
        return self._attempt(number, 1, run_id, ask.agent_id, params)

    def _attempt_again(self, trial: Trial, agent_id: str) -> Handed:
        """Begin the next attempt of a trial: with a run of its own, and without values."""
        trial.fencing += 1
        trial.run_id = new_id()
        trial.agent_id = agent_id
        trial.lease_until = self._now + self._lease_seconds
        trial.exit_code = trial.ended_at = None
        for name, value in _BEGINNING.items():
            setattr(trial, name, value)
        params = json.loads(trial.params)
        return self._attempt(trial.number, trial.fencing, trial.run_id, agent_id, params)

    def _attempt(
        self, number: int, fencing: int, run_id: str, agent_id: str, params: dict[str, Any]
    ) -> Handed:
        self._attempts.append(
            {
                "sweep_id": self._sweep.id,
                "number": number,
                "fencing": fencing,
                "run_id": run_id,
                "agent_id": agent_id,
                "state": "running",
                "created_at": self._now,
            }
        )
        return Handed(number, fencing, run_id, params, self._lease_seconds)


def _wanted(session: Session, sweep: Sweep, config: SweepConfig, now: float) -> Wanted:
    rows = session.execute(
        select(
            Trial.number,
            Trial.params,
            Trial.state,
            Trial.best,
            Trial.last,
            Trial.is_settled,
            Trial.ended_at,
        )
        # A deleted run teaches nothing, also not that its parameters were tried.
        .where(Trial.sweep_id == sweep.id, Trial.run_presence != DELETED)
        .order_by(Trial.number)
    ).all()
    awaited = any(
        ended_at is not None and not is_settled and now - ended_at < _FRESH_SECONDS
        for *_, is_settled, ended_at in rows
    )
    seen = tuple(
        Seen(number, params, state, best, last) for number, params, state, best, last, *_ in rows
    )
    return Wanted(sweep.next_number, config, sweep.seed, seen, awaited)
