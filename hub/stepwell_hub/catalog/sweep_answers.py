"""Sweeps and trials as the API returns them, read in a few queries for many at once."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from stepwell_hub.catalog.models import Attempt, Sweep, SweepAgent, Trial
from stepwell_hub.catalog.sweep_rows import DELETED, config_of, expected_trials, no_sweep
from stepwell_hub.sweeps.answers import (
    AgentAnswer,
    AttemptAnswer,
    Best,
    Counts,
    MetricAnswer,
    SweepAnswer,
    SweepPlace,
    SweepsPage,
    TrialAnswer,
    TrialsPage,
)
from stepwell_store.errors import CursorError

_VALUES_MAX: Final = 10_000
"""Importance is computed from so many trials."""


def read_sweep(session: Session, sweep_id: str, alive_at: float) -> SweepAnswer:
    """Return one sweep; see `make_sweep_answers`.

    Raises:
        SweepNotFoundError: There is none.
    """
    found = session.get(Sweep, sweep_id)
    if found is None:
        raise no_sweep(sweep_id)
    return make_sweep_answers(session, [found], alive_at)[0]


def list_sweeps(
    session: Session,
    *,
    project: str | None,
    state: str | None,
    limit: int,
    cursor: str | None,
    alive_at: float,
) -> SweepsPage:
    """Return sweeps, the newest first; see `make_sweep_answers`.

    Raises:
        CursorError: The cursor is not of this list.
    """
    wanted = select(Sweep).order_by(Sweep.created_at.desc(), Sweep.id.desc()).limit(limit + 1)
    if project is not None:
        wanted = wanted.where(Sweep.project == project)
    if state is not None:
        wanted = wanted.where(Sweep.state == state)
    if cursor is not None:
        created_at, sweep_id = _read_cursor(cursor)
        wanted = wanted.where(
            or_(
                Sweep.created_at < created_at,
                and_(Sweep.created_at == created_at, Sweep.id < sweep_id),
            )
        )
    found = list(session.execute(wanted).scalars())
    page = found[:limit]
    following = f"{page[-1].created_at!r}_{page[-1].id}" if len(found) > limit else None
    return SweepsPage(tuple(make_sweep_answers(session, page, alive_at)), following)


def make_sweep_answers(
    session: Session, sweeps: Sequence[Sweep], alive_at: float
) -> list[SweepAnswer]:
    """Return the answer for each sweep.

    Args:
        alive_at: an agent whose last request is later is alive.
    """
    ids = [each.id for each in sweeps]
    counts = _counts(session, ids)
    agents = _agents(session, ids, alive_at)
    deleted = _deleted_runs(session, ids)
    found = []
    for sweep in sweeps:
        config = config_of(sweep)
        metric = config.metric
        facts: Any = {
            "method": config.method,
            "state": sweep.state,
            "metric": None if metric is None else MetricAnswer(metric.name, metric.goal),
        }
        found.append(
            SweepAnswer(
                id=sweep.id,
                project=sweep.project,
                name=sweep.name,
                description=sweep.description,
                config=json.loads(sweep.config),
                seed=sweep.seed,
                created_at=sweep.created_at,
                updated_at=sweep.updated_at,
                run_cap=config.run_cap,
                expected_trials=expected_trials(config),
                counts=Counts(**counts[sweep.id]),
                best=None if metric is None else _best(session, sweep.id, metric.sign),
                agents=tuple(agents[sweep.id]),
                deleted_runs=deleted.get(sweep.id, 0),
                **facts,
            )
        )
    return found


def list_trials(
    session: Session, sweep_id: str, *, limit: int, after: int, cursor: str | None
) -> TrialsPage:
    """Return the trials with numbers above ``after``, in the order of their numbers.

    Raises:
        CursorError: The cursor is not of this list.
        SweepNotFoundError: There is no such sweep.
    """
    if session.get(Sweep, sweep_id) is None:
        raise no_sweep(sweep_id)
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise CursorError(cursor, "not a cursor of this list")
    after = int(cursor or after)
    found = list(
        session.execute(
            select(Trial)
            .where(Trial.sweep_id == sweep_id, Trial.number > after)
            .order_by(Trial.number)
            .limit(limit + 1)
        ).scalars()
    )
    page = found[:limit]
    attempts: dict[int, list[AttemptAnswer]] = defaultdict(list)
    if page:
        rows = session.execute(
            select(Attempt)
            .where(
                Attempt.sweep_id == sweep_id,
                Attempt.number.between(page[0].number, page[-1].number),
            )
            .order_by(Attempt.number, Attempt.fencing)
        ).scalars()
        for row in rows:
            state: Any = row.state
            attempts[row.number].append(AttemptAnswer(row.fencing, row.run_id, row.agent_id, state))
    following = str(page[-1].number) if len(found) > limit else None
    return TrialsPage(tuple(_trial(each, attempts[each.number]) for each in page), following)


def ended_values(session: Session, sweep_id: str) -> tuple[str | None, list[tuple[str, float]]]:
    """Return the metric, and parameters (JSON) and value of the newest trials that have ended.

    Raises:
        SweepNotFoundError: There is no such sweep.
    """
    sweep = session.get(Sweep, sweep_id)
    if sweep is None:
        raise no_sweep(sweep_id)
    metric = config_of(sweep).metric
    if metric is None:
        return None, []
    rows = session.execute(
        select(Trial.params, Trial.best)
        .where(
            Trial.sweep_id == sweep_id,
            Trial.state.in_(("finished", "stopped")),
            Trial.best.is_not(None),
        )
        .order_by(Trial.number.desc())
        .limit(_VALUES_MAX)
    )
    return metric.name, [(params, best) for params, best in rows if best is not None]


def place_of_run(session: Session, project: str, run_id: str) -> SweepPlace | None:
    """Return the trial that the run is an attempt of."""
    row = session.execute(
        select(Sweep.id, Sweep.name, Attempt.number, Attempt.fencing, Trial.fencing)
        .join(Attempt, Attempt.sweep_id == Sweep.id)
        .join(Trial, and_(Trial.sweep_id == Sweep.id, Trial.number == Attempt.number))
        .where(Attempt.run_id == run_id, Sweep.project == project)
    ).first()
    if row is None:
        return None
    sweep_id, name, number, fencing, newest = row
    return SweepPlace(sweep_id, name, number, fencing, fencing == newest)


def _trial(trial: Trial, attempts: list[AttemptAnswer]) -> TrialAnswer:
    state: Any = trial.state
    return TrialAnswer(
        number=trial.number,
        fencing=trial.fencing,
        run_id=trial.run_id,
        state=state,
        params=json.loads(trial.params),
        value=trial.best,
        last=trial.last,
        steps=trial.steps,
        is_settled=trial.is_settled,
        agent=trial.agent_id,
        stop_reason=trial.stop_reason,
        exit_code=trial.exit_code,
        created_at=trial.created_at,
        ended_at=trial.ended_at,
        attempts=tuple(attempts),
        is_run_deleted=trial.run_presence == DELETED,
    )


def _counts(session: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    rows = session.execute(
        select(Trial.sweep_id, Trial.state, func.count())
        .where(Trial.sweep_id.in_(ids))
        .group_by(Trial.sweep_id, Trial.state)
    )
    for sweep_id, state, count in rows:
        found[sweep_id][state] = count
    superseded = session.execute(
        select(Attempt.sweep_id, func.count())
        .where(Attempt.sweep_id.in_(ids), Attempt.state == "superseded")
        .group_by(Attempt.sweep_id)
    )
    for sweep_id, count in superseded:
        found[sweep_id]["superseded"] = count
    return found


def _deleted_runs(session: Session, ids: Sequence[str]) -> dict[str, int]:
    rows = session.execute(
        select(Trial.sweep_id, func.count())
        .where(Trial.sweep_id.in_(ids), Trial.run_presence == DELETED)
        .group_by(Trial.sweep_id)
    )
    return {sweep_id: count for sweep_id, count in rows}


def _agents(session: Session, ids: Sequence[str], alive_at: float) -> dict[str, list[AgentAnswer]]:
    found: dict[str, list[AgentAnswer]] = defaultdict(list)
    rows = session.execute(
        select(SweepAgent)
        .where(SweepAgent.sweep_id.in_(ids))
        .order_by(SweepAgent.created_at, SweepAgent.id)
    ).scalars()
    for row in rows:
        kind: Any = row.kind
        found[row.sweep_id].append(
            AgentAnswer(
                row.id,
                row.host,
                row.pid,
                kind,
                row.created_at,
                row.seen_at,
                row.ended_at is None and row.seen_at > alive_at,
                row.ended_at,
            )
        )
    return found


def _best(session: Session, sweep_id: str, sign: int) -> Best | None:
    order = Trial.best if sign > 0 else Trial.best.desc()
    row = session.execute(
        select(Trial.number, Trial.run_id, Trial.best)
        .where(Trial.sweep_id == sweep_id, Trial.best.is_not(None))
        .order_by(order, Trial.number)
        .limit(1)
    ).first()
    return None if row is None or row[2] is None else Best(row[0], row[1], row[2])


def _read_cursor(cursor: str) -> tuple[float, str]:
    created_at, _, sweep_id = cursor.partition("_")
    try:
        if "\0" in sweep_id:
            raise ValueError
        return float(created_at), sweep_id
    except ValueError as error:
        raise CursorError(cursor, "not a cursor of this list") from error
