"""`wandb.sweep` and `wandb.agent`: as stepwell's, with settings of `WANDB_*` variables."""

from collections.abc import Callable, Iterable
from typing import Any

from stepwell._sweeps.calls import announce, create_sweep, run_agent
from stepwell.wandb_compat._environment import defaults


def sweep(
    sweep: Any,
    entity: str | None = None,
    project: str | None = None,
    prior_runs: Iterable[str] | None = None,
) -> str:
    """See `stepwell.sweep`."""
    made = create_sweep(sweep, project=project, prior_runs=prior_runs, defaults=list(defaults()))
    return announce(made)


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool | None = None,
    term_timeout: float | None = None,
    max_consecutive_failed_runs: int | None = None,
) -> None:
    """See `stepwell.agent`."""
    run_agent(
        sweep_id,
        function,
        project=project,
        count=count,
        term_timeout=term_timeout,
        max_consecutive_failed_runs=max_consecutive_failed_runs,
        defaults=list(defaults()),
    )
