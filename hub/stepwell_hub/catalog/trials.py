"""Trials in the catalog: held by leases, and ended. Each function is a transaction.

`asks` hands them out.

ask ──► running ──► finished, failed, crashed, stopped       by the agent's end, counted once
           │  ▲
           │  └── running, fencing + 1, a new run            an ask after the lease ran out,
           ▼                                                 or after a preemption
        waiting                                              preempted
"""

from typing import Any

from sqlalchemy import select

from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import Sweep, Trial
from stepwell_hub.catalog.sweep_rows import (
    agent_of,
    answered,
    end_trial,
    locked,
    locked_if_there,
    note_answer,
)
from stepwell_hub.errors import SweepNotFoundError
from stepwell_hub.sweeps.answers import ENDED, Beat, Ended, EndState, Stop


def beat(
    catalog: Catalog,
    sweep_id: str,
    *,
    agent_id: str,
    held: list[tuple[int, int]],
    is_ending: bool = False,
    now: float,
    lease_seconds: float,
) -> Beat:
    """Renew the leases of an agent, and say which of its attempts are to stop.

    Args:
        held: number and fencing of each attempt that the agent runs.
        is_ending: this is the agent's last request.
        lease_seconds: how long they are held from now on.

    Raises:
        SweepNotFoundError: There is no such sweep or agent.
    """
    with catalog.changing() as session:
        sweep = locked(session, sweep_id)
        agent = agent_of(session, sweep_id, agent_id)
        agent.seen_at = now
        if is_ending:
            agent.ended_at = now
        stops = []
        for number, fencing in held:
            trial = session.get(Trial, (sweep_id, number))
            is_held = (
                trial is not None
                and (trial.fencing, trial.agent_id) == (fencing, agent_id)
                and trial.state == "running"
            )
            if not is_held or trial is None:
                stops.append(Stop(number, fencing, "stop", "superseded"))
                continue
            trial.lease_until = now + lease_seconds
            if trial.stop_reason:
                reason: Any = trial.stop_reason
                stops.append(Stop(number, fencing, "stop", reason))
        state: Any = sweep.state
        return Beat(state, tuple(stops))


def end(
    catalog: Catalog,
    sweep_id: str,
    number: int,
    *,
    agent_id: str,
    fencing: int,
    key: str,
    state: EndState,
    exit_code: int | None,
    now: float,
) -> Ended:
    """Note how an attempt ended; at most one end of a trial counts.

    Raises:
        SweepNotFoundError: There is no such sweep, agent or trial.
    """
    with catalog.changing() as session:
        sweep = locked(session, sweep_id)
        scope = f"{sweep_id}:end"
        known = answered(session, scope, key)
        if known is not None:
            return Ended(known)
        agent_of(session, sweep_id, agent_id).seen_at = now
        trial = session.get(Trial, (sweep_id, number))
        if trial is None:
            raise SweepNotFoundError(f"sweep {sweep_id} has no trial {number}")
        counted = trial.state == "running" and (trial.fencing, trial.agent_id) == (
            fencing,
            agent_id,
        )
        if counted:
            trial.exit_code = exit_code
            end_trial(session, sweep, trial, _state_of(trial, sweep, state), now)
        note_answer(session, scope, key, counted, now)
        return Ended(counted)


def _state_of(trial: Trial, sweep: Sweep, state: EndState) -> str:
    """Return the state of an ended trial: stopped if it was told to stop and did not finish."""
    if trial.stop_reason and state != "finished":
        return "stopped"
    if state == "preempted" and sweep.state in ENDED:
        return "stopped"
    return state


def end_orphans(catalog: Catalog, *, now: float, expired_at: float) -> None:
    """End trials of ended sweeps that no agent holds any more: they are not handed out again."""
    with catalog.changing() as session:
        found = session.execute(
            select(Trial, Sweep)
            .join(Sweep, Sweep.id == Trial.sweep_id)
            .where(
                Sweep.state.in_(ENDED),
                Trial.state.in_(("running", "waiting")),
                Trial.lease_until < expired_at,
            )
            .order_by(Sweep.id, Trial.number)  # All hubs lock rows in the same order.
        ).all()
        for trial, sweep in found:
            if locked_if_there(session, sweep.id) is None:
                continue
            session.refresh(trial)
            if trial.state == "waiting":
                trial.state, trial.ended_at = "stopped", now
            elif trial.state == "running" and trial.lease_until < expired_at:
                state = "stopped" if trial.stop_reason else "crashed"
                end_trial(session, sweep, trial, state, now)
