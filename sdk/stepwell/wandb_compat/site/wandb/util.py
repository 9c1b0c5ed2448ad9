"""Helpers that other code takes from Weights & Biases' client."""

import json
import re
from typing import Any

from stepwell._json_values import as_json
from wandb.sdk.lib.runid import generate_id

__all__ = ["generate_id", "json_dumps_safer", "make_artifact_name_safe", "to_forward_slash_path"]


def json_dumps_safer(obj: Any, **options: Any) -> str:
    """Return ``obj`` as JSON; other values become text."""
    return json.dumps(as_json(obj, lambda kind, text: None), **options)


def make_artifact_name_safe(name: str) -> str:
    """Return ``name`` of letters, digits, ``-``, ``_`` and ``.`` only, 128 of them at most."""
    safe = re.sub(r"[^a-zA-Z0-9_\-.]", "_", name)
    return safe if len(safe) <= 128 else f"{safe[:63]}..{safe[-63:]}"


def to_forward_slash_path(path: Any) -> str:
    return str(path)
