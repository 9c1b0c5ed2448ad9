"""The run that the module-level names mean, and the modules whose names follow it.

A leaf: `stepwell` itself imports it, and the run that begins or ends binds it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # Not from typing: that module alone would take half of our import time.
if TYPE_CHECKING:
    from typing import Any

    from stepwell._active_run import ActiveRun

run: ActiveRun | None = None
_followers: list[tuple[dict[str, Any], dict[str, Any]]] = []


def follow(names: dict[str, Any], placeholders: dict[str, Any]) -> None:
    """Register a module whose ``names`` are of the current run, else the ``placeholders``."""
    _followers.append((names, placeholders))
    _rebind(names, placeholders)


def bind(current: ActiveRun | None) -> None:
    """Bind the module-level names to ``current``; without a run, to the placeholders."""
    global run
    run = current
    for names, placeholders in _followers:
        _rebind(names, placeholders)


def _rebind(names: dict[str, Any], placeholders: dict[str, Any]) -> None:
    names["run"] = run
    for name, placeholder in placeholders.items():
        names[name] = placeholder if run is None else getattr(run, name)
