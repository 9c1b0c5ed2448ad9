"""Sweeps and their agents in the catalog. Each function is a transaction."""

import json
import secrets
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from stepwell_hub.catalog import sweep_answers
from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import Sweep, SweepAgent, SweepCommand, Trial
from stepwell_hub.catalog.sweep_rows import (
    COMMAND_SECONDS,
    answered,
    config_of,
    finish_if_done,
    forget_old,
    locked,
    note_answer,
    order_stop,
)
from stepwell_hub.errors import SweepEndedError
from stepwell_hub.sweeps.answers import (
    BEATS_A_LEASE,
    ENDED,
    AgentKind,
    Commands,
    Registered,
    RunCommand,
    SweepAnswer,
    SweepPlace,
    SweepsPage,
    TrialsPage,
)
from stepwell_hub.sweeps.config import SweepConfig, changed_config

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_COMMANDS_MAX: Final = 1000


def new_id(length: int = 8) -> str:
    """Return an id that is not in use, by its length."""
    number = secrets.randbits(16 * length)
    letters = []
    for _ in range(length):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return "".join(letters)


def create(
    catalog: Catalog,
    *,
    project: str,
    config: SweepConfig,
    key: str,
    now: float,
    alive_at: float,
) -> SweepAnswer:
    """Make a sweep, or return the one that ``key`` made."""
    try:
        return _create(catalog, project, config, key, now, alive_at)
    except IntegrityError:  # Another hub was first with this key.
        return _create(catalog, project, config, key, now, alive_at)


def _create(
    catalog: Catalog, project: str, config: SweepConfig, key: str, now: float, alive_at: float
) -> SweepAnswer:
    with catalog.changing() as session:
        known = answered(session, "create", key)
        if known is not None:
            return sweep_answers.read_sweep(session, known, alive_at)
        forget_old(session, now)
        sweep = Sweep(
            id=new_id(),
            project=project,
            name=config.name,
            description=config.description,
            state="pending",
            config=json.dumps(dict(config.as_given)),
            seed=config.seed if config.seed is not None else secrets.randbits(48),
            next_number=1,
            created_at=now,
            updated_at=now,
        )
        session.add(sweep)
        note_answer(session, "create", key, sweep.id, now)
        session.flush()
        return sweep_answers.make_sweep_answers(session, [sweep], alive_at)[0]


def get(catalog: Catalog, sweep_id: str, alive_at: float) -> SweepAnswer:
    """Return one sweep.

    Raises:
        SweepNotFoundError: There is none.
    """
    with catalog.reading() as session:
        return sweep_answers.read_sweep(session, sweep_id, alive_at)


def listed(catalog: Catalog, **wanted: Any) -> SweepsPage:
    """Return a page of sweeps; see `sweep_answers.list_sweeps`."""
    with catalog.reading() as session:
        return sweep_answers.list_sweeps(session, **wanted)


def trials(
    catalog: Catalog, sweep_id: str, *, limit: int, after: int = 0, cursor: str | None
) -> TrialsPage:
    """Return a page of trials; see `sweep_answers.list_trials`."""
    with catalog.reading() as session:
        return sweep_answers.list_trials(session, sweep_id, limit=limit, after=after, cursor=cursor)


def ended_values(catalog: Catalog, sweep_id: str) -> tuple[str | None, list[tuple[str, float]]]:
    """Return the metric and the values of ended trials; see `sweep_answers.ended_values`."""
    with catalog.reading() as session:
        return sweep_answers.ended_values(session, sweep_id)


def place_of_run(catalog: Catalog, project: str, run_id: str) -> SweepPlace | None:
    """Return the trial that the run is an attempt of."""
    with catalog.reading() as session:
        return sweep_answers.place_of_run(session, project, run_id)


def change(
    catalog: Catalog,
    sweep_id: str,
    *,
    state: str | None,
    name: str | None,
    description: str | None,
    config: dict[str, Any] | None,
    now: float,
    alive_at: float,
) -> SweepAnswer:
    """Change the given fields of a sweep.

    Raises:
        SweepNotFoundError: There is no such sweep.
        SweepEndedError: It is finished or canceled, and another state or config was asked for.
        SweepInvalidError: The change of the config is invalid.
    """
    with catalog.changing() as session:
        sweep = locked(session, sweep_id)
        is_final = sweep.state in ENDED
        if is_final and (config is not None or state not in (None, sweep.state)):
            raise SweepEndedError(f"sweep {sweep_id} is {sweep.state}, which is final")
        if config is not None:
            changed = changed_config(json.loads(sweep.config), config)
            sweep.config = json.dumps(dict(changed.as_given))
        if name is not None:
            sweep.name = name
        if description is not None:
            sweep.description = description
        if state is not None and not is_final:
            if state != "running" or sweep.state == "paused":
                sweep.state = state
            if state == "canceled":
                _cancel_trials(session, sweep, now)
        sweep.updated_at = now
        finish_if_done(session, sweep, now)
        session.flush()
        return sweep_answers.make_sweep_answers(session, [sweep], alive_at)[0]


def _cancel_trials(session: Any, sweep: Sweep, now: float) -> None:
    found = session.execute(
        select(Trial)
        .where(Trial.sweep_id == sweep.id, Trial.state.in_(("running", "waiting")))
        .order_by(Trial.number)
    ).scalars()
    for trial in found:
        if trial.state == "waiting":
            trial.state, trial.ended_at = "stopped", now
        else:
            order_stop(session, sweep, trial, "canceled", now)


def register(
    catalog: Catalog,
    sweep_id: str,
    *,
    key: str,
    host: str,
    pid: int,
    kind: AgentKind,
    now: float,
    lease_seconds: float,
) -> Registered:
    """Note an agent, or return the one that ``key`` made.

    Raises:
        SweepNotFoundError: There is no such sweep.
    """
    with catalog.changing() as session:
        sweep = locked(session, sweep_id)
        scope = f"{sweep_id}:agent"
        known = answered(session, scope, key)
        if known is not None:
            return _registered(known, lease_seconds)
        agent = SweepAgent(
            id=new_id(12),
            sweep_id=sweep_id,
            host=host,
            pid=pid,
            kind=kind,
            created_at=now,
            seen_at=now,
        )
        session.add(agent)
        if sweep.state == "pending":
            sweep.state, sweep.updated_at = "running", now
        note_answer(session, scope, key, agent.id, now)
        return _registered(agent.id, lease_seconds)


def _registered(agent_id: str, lease_seconds: float) -> Registered:
    return Registered(agent_id, lease_seconds, lease_seconds / BEATS_A_LEASE)


def commands(catalog: Catalog, after: int | None, now: float) -> Commands:
    """Return the commands after a cursor, of the last ten minutes."""
    with catalog.reading() as session:
        wanted = (
            select(SweepCommand)
            .where(SweepCommand.created_at >= now - COMMAND_SECONDS)
            .order_by(SweepCommand.sequence)
            .limit(_COMMANDS_MAX)
        )
        if after is not None:
            wanted = wanted.where(SweepCommand.sequence > after)
        found = list(session.execute(wanted).scalars())
    last = found[-1].sequence if found else after or 0
    told: Any = [
        RunCommand(
            each.project,
            each.run_id,
            "stop",
            each.reason,  # type: ignore[arg-type]
            each.sweep_id,
            each.number,
            each.fencing,
        )
        for each in found
    ]
    return Commands(str(last), tuple(told))


def project_and_metric(sweep: Sweep) -> tuple[str, str | None]:
    metric = config_of(sweep).metric
    return sweep.project, None if metric is None else metric.name
