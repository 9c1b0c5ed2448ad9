"""Helpers that other code takes from Weights & Biases' client."""

from stepwell.util import (
    generate_id,
    json_dumps_safer,
    make_artifact_name_safe,
    to_forward_slash_path,
)

__all__ = ["generate_id", "json_dumps_safer", "make_artifact_name_safe", "to_forward_slash_path"]
