"""Moments as texts: ISO 8601 in UTC, as scripts for Weights & Biases expect them."""

from datetime import UTC, datetime


def moment_text(seconds: float | None) -> str | None:
    """Return seconds since 1970 UTC as e.g. 2026-01-05T10:00:00Z; None where unknown."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
