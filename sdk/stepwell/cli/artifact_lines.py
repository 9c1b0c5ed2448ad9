"""Output of the commands of `stepwell artifact`."""

import argparse
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stepwell.cli.text import json_text, plain

if TYPE_CHECKING:
    from stepwell import Artifact


def facts_of(version: "Artifact") -> dict[str, Any]:
    """Return a version in the form of ``--json``."""
    return {
        "project": version.project,
        "name": version.name,
        "type": version.type,
        "version": version.version,
        "aliases": version.aliases,
        "digest": version.digest,
        "files": version.file_count,
        "size": version.size,
        "description": version.description,
        "metadata": version.metadata,
        "updated_at": seconds_of(version.updated_at),
    }


def seconds_of(moment: str | None) -> float | None:
    """Return a moment, ISO 8601 in UTC, as seconds since 1970."""
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


def print_facts(options: argparse.Namespace, facts: Mapping[str, Any], line: str) -> None:
    """Print a line of the result."""
    print(json_text(facts, indent=None) if options.json else plain(line))


def print_notice(line: str) -> None:
    """Print a notice."""
    print(plain(f"stepwell: {line}"), file=sys.stderr)
