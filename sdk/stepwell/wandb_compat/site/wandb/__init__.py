"""stepwell, under the name that scripts for Weights & Biases import.

This is not Weights & Biases' client: no data is sent to its servers. `stepwell run` put it in
front, for one command; docs/wandb.md lists what works. Only this module has `wandb.__stepwell__`.
"""

from __future__ import annotations

try:
    import stepwell
except ImportError as error:
    import sys

    raise ImportError(
        "`stepwell run` replaced the module wandb, but stepwell is not installed in "
        f"{sys.executable} ({error}): install it there, or use `stepwell run --keep-wandb`"
    ) from error
from stepwell import _OF_RUN, _current, finish
from stepwell.wandb_compat import VERSION

TYPE_CHECKING = False  # Not from typing: that module alone would be half of our import's cost.
if TYPE_CHECKING:
    from typing import Any

__version__ = VERSION
__stepwell__ = stepwell.__version__
patched: dict[str, list[Any]] = {"gym": [], "keras": [], "tensorboard": []}
join = finish

_SAME = """
AlertLevel Api Artifact Audio Classes Config EvalTable Graph Histogram Html Image JoinedTable
Molecule Object3D Plotly Settings Table Video box3d controller ensure_configured login
plot_table require setup teardown termerror termlog termsetup termwarn
"""
_PARTS = """
apis catboost data_types env errors gym integration keras lightgbm plot sdk sklearn tensorboard util
wandb_run xgboost
"""
_HOMES = {
    "ArtifactTTL": "wandb.sdk.artifacts",
    "CommError": "wandb.errors",
    "CustomChart": "stepwell.plot",
    "Error": "wandb.errors",
    "Run": "stepwell.wandb_compat._run",
    "UsageError": "wandb.errors",
    "agent": "stepwell.wandb_compat._sweeps",
    "api": "wandb.apis",
    "init": "stepwell.wandb_compat._init",
    "sweep": "stepwell.wandb_compat._sweeps",
    "visualize": "stepwell.plot",
    **dict.fromkeys(_SAME.split(), "stepwell"),
}
_MODULES = frozenset(_PARTS.split())

__all__ = sorted({*_OF_RUN, *_HOMES, "__version__", "run"})


def _attach(attach_id: str | None = None, run_id: str | None = None, **more: Any) -> Any:
    """Return the run that `Run._attach_id` named in another process."""
    from stepwell.wandb_compat._run import attach_by_id

    if attach_id is None:
        from wandb.errors import UsageError

        raise UsageError("wandb._attach() needs the _attach_id of a run")
    return attach_by_id(attach_id)


attach = _attach


def _placeholders() -> dict[str, Any]:
    made: dict[str, Any] = {name: stepwell._of_run(name, "wandb") for name in _OF_RUN}
    made["finish"] = finish  # Without a run it has no effect.
    made["config"] = stepwell._NoRunYet("config", "wandb")
    made["summary"] = stepwell._NoRunYet("summary", "wandb")
    return made


_current.follow(globals(), _placeholders())


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ImportError as error:  # A framework is missing; `hasattr` is to say so.
            raise AttributeError(f"wandb.{name}: {error}") from error
    if name == "wandb_sdk":
        return importlib.import_module(f"{__name__}.sdk")
    if name not in _HOMES:
        raise AttributeError(f"stepwell's module wandb has no {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
