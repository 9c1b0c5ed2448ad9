"""Rows of sweeps that several operations share: locks, answered keys, stop commands."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.orm import Session

from stepwell_hub.catalog.models import (
    AnsweredKey,
    Attempt,
    Sweep,
    SweepAgent,
    SweepCommand,
    Trial,
)
from stepwell_hub.errors import SweepNotFoundError
from stepwell_hub.sweeps.answers import StopReason
from stepwell_hub.sweeps.config import SweepConfig, parse_config
from stepwell_hub.sweeps.search import grid_count

KEY_SECONDS: Final = 86_400.0
"""A key is kept for so long."""
COMMAND_SECONDS: Final = 600.0
"""A command is sent for so long."""
STORED: Final = "stored"
DELETED: Final = "deleted"
"""Values of `Trial.run_presence`."""
_COMMANDS_LOCK: Final = 0x57E9_3312  # An arbitrary number.

# Made once: building such a statement takes longer than running it.
_LOCKED: Final = select(Sweep).where(Sweep.id == bindparam("id")).with_for_update()
_AGENTS: Final = select(SweepAgent.id).where(
    SweepAgent.id.in_(bindparam("ids", expanding=True)),
    SweepAgent.sweep_id == bindparam("sweep_id"),
)
_ANSWERED: Final = select(AnsweredKey.key, AnsweredKey.answer).where(
    AnsweredKey.scope == bindparam("scope"),
    AnsweredKey.key.in_(bindparam("keys", expanding=True)),
)


def locked(session: Session, sweep_id: str) -> Sweep:
    """Return the sweep, locked until the transaction ends.

    Raises:
        SweepNotFoundError: There is none.
    """
    found = locked_if_there(session, sweep_id)
    if found is None:
        raise no_sweep(sweep_id)
    return found


def locked_if_there(session: Session, sweep_id: str) -> Sweep | None:
    """As `locked`; None if the sweep was deleted with its project."""
    return session.execute(_LOCKED, {"id": sweep_id}).scalar_one_or_none()


def agent_of(session: Session, sweep_id: str, agent_id: str) -> SweepAgent:
    """Return the agent.

    Raises:
        SweepNotFoundError: The sweep has none of this id.
    """
    found = session.get(SweepAgent, agent_id)
    if found is None or found.sweep_id != sweep_id:
        raise no_agent(sweep_id, agent_id)
    return found


def agents_of(session: Session, sweep_id: str, agent_ids: Sequence[str]) -> set[str]:
    """Return the agents with these ids that the sweep has."""
    return set(session.execute(_AGENTS, {"ids": agent_ids, "sweep_id": sweep_id}).scalars())


def no_sweep(sweep_id: str) -> SweepNotFoundError:
    return SweepNotFoundError(f"sweep {sweep_id} not found; `stepwell sweep FILE` makes a sweep")


def no_agent(sweep_id: str, agent_id: str) -> SweepNotFoundError:
    return SweepNotFoundError(f"sweep {sweep_id} has no agent {agent_id}; register one first")


def answered(session: Session, scope: str, key: str) -> Any:
    """Return the answer that the key got, None for a new key."""
    found = session.get(AnsweredKey, (scope, key))
    return None if found is None else json.loads(found.answer)


def answered_of(session: Session, scope: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return the answers that the known ones of the keys got."""
    found = session.execute(_ANSWERED, {"scope": scope, "keys": keys})
    return {key: json.loads(answer) for key, answer in found}


def note_answer(session: Session, scope: str, key: str, answer: Any, now: float) -> None:
    """Keep an answer for the same key."""
    session.add(AnsweredKey(scope=scope, key=key, answer=json.dumps(answer), created_at=now))


def forget_old(session: Session, now: float) -> None:
    """Delete keys and commands that are too old to matter."""
    session.execute(delete(AnsweredKey).where(AnsweredKey.created_at < now - KEY_SECONDS))
    session.execute(delete(SweepCommand).where(SweepCommand.created_at < now - COMMAND_SECONDS))


def config_of(sweep: Sweep) -> SweepConfig:
    return _parsed(sweep.config)


@lru_cache(maxsize=256)
def _parsed(config: str) -> SweepConfig:
    return parse_config(json.loads(config))


def expected_trials(config: SweepConfig) -> int | None:
    """Return how many trials there will be, None if there is no limit."""
    grid = grid_count(config) if config.method == "grid" else None
    bounds = [each for each in (grid, config.run_cap) if each is not None]
    return min(bounds) if bounds else None


def is_exhausted(sweep: Sweep) -> bool:
    """Return whether the search has no further trial."""
    expected = expected_trials(config_of(sweep))
    return expected is not None and sweep.next_number > expected


def has_open_trials(session: Session, sweep_id: str) -> bool:
    """Return whether a trial runs, or waits to be given again."""
    found = session.execute(
        select(Trial.number)
        .where(Trial.sweep_id == sweep_id, Trial.state.in_(("running", "waiting")))
        .limit(1)
    )
    return found.first() is not None


def finish_if_done(session: Session, sweep: Sweep, now: float) -> None:
    """Mark a sweep as finished when all its trials were made and have ended."""
    if sweep.state not in ("pending", "running", "paused") or not is_exhausted(sweep):
        return
    session.flush()
    if not has_open_trials(session, sweep.id):
        sweep.state, sweep.updated_at = "finished", now


def order_stop(
    session: Session, sweep: Sweep, trial: Trial, reason: StopReason, now: float
) -> None:
    """Tell daemons to stop the newest attempt of a trial."""
    if session.get_bind().dialect.name == "postgresql":
        # Numbers become visible in their order, so that a reader's cursor skips none.
        session.execute(text(f"SELECT pg_advisory_xact_lock({_COMMANDS_LOCK})"))
    session.add(
        SweepCommand(
            project=sweep.project,
            run_id=trial.run_id,
            command="stop",
            reason=reason,
            sweep_id=sweep.id,
            number=trial.number,
            fencing=trial.fencing,
            created_at=now,
        )
    )
    if reason != "superseded":
        trial.stop_reason = reason


def end_attempt(session: Session, trial: Trial, state: str, now: float) -> None:
    """Mark the newest attempt of a trial as ended."""
    attempt = session.get(Attempt, (trial.sweep_id, trial.number, trial.fencing))
    assert attempt is not None
    attempt.state, attempt.ended_at = state, now


def end_trial(session: Session, sweep: Sweep, trial: Trial, state: str, now: float) -> None:
    """End the attempt of a trial, and the trial; a preempted trial waits for the next attempt."""
    end_attempt(session, trial, state, now)
    if state == "preempted":
        trial.state = "waiting"
        return
    trial.state, trial.ended_at = state, now
    finish_if_done(session, sweep, now)
