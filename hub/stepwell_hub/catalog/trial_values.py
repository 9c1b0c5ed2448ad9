"""The values of trials in the catalog: values to read, values read, and their effects.

A trial whose run was deleted loses its values, so the best trial, the search and early stopping
leave it out. If the run is in the store again, its values are read again.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from stepwell_hub.catalog.catalog import Catalog
from stepwell_hub.catalog.models import Sweep, Trial
from stepwell_hub.catalog.sweep_rows import (
    DELETED,
    STORED,
    config_of,
    locked_if_there,
    order_stop,
)
from stepwell_hub.sweeps.answers import ENDED
from stepwell_hub.sweeps.config import SweepConfig
from stepwell_hub.sweeps.hyperband import Progress, trials_to_stop


@dataclass(frozen=True, slots=True)
class Looked:
    """A trial whose values may still change.

    Attributes:
        steps: logged values that are known.
        known_bands: bands whose values are known.
        is_stored: the store had the run at the last look.
    """

    number: int
    fencing: int
    run_id: str
    steps: int
    known_bands: frozenset[int]
    ended_at: float | None
    is_stored: bool


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A sweep with trials whose values may still change."""

    sweep_id: str
    project: str
    config: SweepConfig
    trials: tuple[Looked, ...]


@dataclass(frozen=True, slots=True)
class News:
    """New values of an attempt.

    Attributes:
        bands: the values at bands that are new.
        is_stored: the store has the run.
    """

    number: int
    fencing: int
    best: float | None
    last: float | None
    steps: int
    bands: Mapping[int, float]
    is_settled: bool
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class TrialRuns:
    """The newest runs of a sweep's trials.

    Attributes:
        runs: run id and `Trial.run_presence` by trial number.
    """

    project: str
    runs: Mapping[int, tuple[str, str]]

    def changed(self, stored: Collection[str]) -> dict[int, str]:
        """Return the runs that were deleted, stored, or stored again, by trial number.

        Args:
            stored: the runs that the store has.
        """
        return {
            number: run_id
            for number, (run_id, presence) in self.runs.items()
            if (run_id in stored and presence != STORED)
            or (run_id not in stored and presence == STORED)
        }


def unsettled(catalog: Catalog, sweep_id: str | None = None) -> list[Unsettled]:
    """Return the sweeps to look at; only one of them where an id is given."""
    with catalog.reading() as session:
        wanted = (
            select(Trial).where(Trial.is_settled.is_(False)).order_by(Trial.sweep_id, Trial.number)
        )
        if sweep_id is not None:
            wanted = wanted.where(Trial.sweep_id == sweep_id)
        by_sweep: dict[str, list[Looked]] = {}
        for each in session.execute(wanted).scalars():
            if each.state == "waiting":
                continue
            bands = frozenset(int(band) for band in json.loads(each.bands))
            by_sweep.setdefault(each.sweep_id, []).append(
                Looked(
                    each.number,
                    each.fencing,
                    each.run_id,
                    each.steps,
                    bands,
                    each.ended_at,
                    each.run_presence == STORED,
                )
            )
        sweeps = session.execute(select(Sweep).where(Sweep.id.in_(by_sweep))).scalars()
        return [
            Unsettled(each.id, each.project, config_of(each), tuple(by_sweep[each.id]))
            for each in sweeps
        ]


def note(catalog: Catalog, sweep_id: str, news: Sequence[News], now: float) -> bool:
    """Keep new values; stop trials by hyperband, finish the sweep when its target is reached.

    Returns:
        Whether commands were written.
    """
    with catalog.changing() as session:
        sweep = locked_if_there(session, sweep_id)
        if sweep is None:
            return False
        config = config_of(sweep)
        for each in news:
            trial = session.get(Trial, (sweep_id, each.number))
            if trial is None or trial.fencing != each.fencing:
                continue  # It was handed out again meanwhile: the values are of an earlier run.
            if each.is_settled and trial.ended_at is not None:
                trial.is_settled = True
            if not _note_presence(trial, is_stored=each.is_stored):
                continue
            trial.best, trial.last, trial.steps = each.best, each.last, each.steps
            if each.bands:
                known = json.loads(trial.bands)
                known |= {str(band): value for band, value in each.bands.items()}
                trial.bands = json.dumps(known)
        metric = config.metric
        if metric is None:
            return False
        if sweep.state not in ENDED and any(
            each.best is not None and metric.reaches_target(each.best) for each in news
        ):
            sweep.state, sweep.updated_at = "finished", now
        return _stop_early(session, sweep, config, metric.sign, now)


def _note_presence(trial: Trial, *, is_stored: bool) -> bool:
    """Note whether the store has the run of a trial; return False if the run was deleted."""
    if is_stored:
        trial.run_presence = STORED
    elif trial.run_presence:
        trial.run_presence = DELETED
        trial.best = trial.last = None
        trial.steps, trial.bands = 0, "{}"
    return trial.run_presence != DELETED


def runs_of(catalog: Catalog, sweep_id: str) -> TrialRuns | None:
    """Return the runs of a sweep's trials; None if there is no such sweep."""
    with catalog.reading() as session:
        project = session.execute(select(Sweep.project).where(Sweep.id == sweep_id)).scalar()
        if project is None:
            return None
        rows = session.execute(
            select(Trial.number, Trial.run_id, Trial.run_presence).where(Trial.sweep_id == sweep_id)
        )
        return TrialRuns(project, {number: (run, presence) for number, run, presence in rows})


def note_runs(
    catalog: Catalog, sweep_id: str, runs: Mapping[int, str], stored: Collection[str]
) -> None:
    """Keep which of these runs (by trial number) the store has; see `TrialRuns.changed`."""
    with catalog.changing() as session:
        if locked_if_there(session, sweep_id) is None:
            return
        for number, run_id in runs.items():
            trial = session.get(Trial, (sweep_id, number))
            if trial is None or trial.run_id != run_id:
                continue  # It was handed out again meanwhile.
            was_deleted = trial.run_presence == DELETED
            if _note_presence(trial, is_stored=run_id in stored) and was_deleted:
                trial.is_settled = False  # Its values are read again.


def _stop_early(session: Session, sweep: Sweep, config: SweepConfig, sign: int, now: float) -> bool:
    if config.early_terminate is None:
        return False
    session.flush()
    trials = list(
        session.execute(
            select(Trial).where(Trial.sweep_id == sweep.id, Trial.bands != "{}")
        ).scalars()
    )
    stopped = trials_to_stop(
        config.early_terminate,
        (
            Progress(
                each.number,
                is_running=each.state == "running" and not each.stop_reason,
                at_bands={int(b): sign * value for b, value in json.loads(each.bands).items()},
                best=None if each.best is None else sign * each.best,
            )
            for each in trials
        ),
    )
    by_number = {each.number: each for each in trials}
    for number in stopped:
        order_stop(session, sweep, by_number[number], "early_terminate", now)
    return bool(stopped)
