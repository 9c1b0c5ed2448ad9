"""Helpers that scripts take from Weights & Biases' client."""

import json
import re
from typing import Any

from stepwell._identity import new_run_id
from stepwell._json_values import as_json

__all__ = ["generate_id", "json_dumps_safer", "make_artifact_name_safe", "to_forward_slash_path"]


def generate_id(length: int = 8) -> str:
    """Return ``length`` digits and small letters at random, for example as the id of a run."""
    text = ""
    while len(text) < length:
        text += new_run_id()
    return text[:length]


def json_dumps_safer(obj: Any, **options: Any) -> str:
    """Return ``obj`` as JSON; other values become text."""
    return json.dumps(as_json(obj, lambda kind, text: None), **options)


def make_artifact_name_safe(name: str) -> str:
    """Return ``name`` of letters, digits, ``-``, ``_`` and ``.`` only, 128 of them at most."""
    safe = re.sub(r"[^a-zA-Z0-9_\-.]", "_", name)
    return safe if len(safe) <= 128 else f"{safe[:63]}..{safe[-63:]}"


def to_forward_slash_path(path: Any) -> str:
    return str(path)
