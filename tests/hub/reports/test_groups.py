"""The groups of a line panel in an exported file, which are those of the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepwell_hub.reports.groups import group_runs

WEB = Path(__file__).parents[3] / "hub" / "web"


def _number(marked: dict[str, Any]) -> Any:
    """Read a number as the hub's JSON marks it."""
    if list(marked) == ["$float"]:
        return float(marked["$float"])
    return int(marked["$int"]) if list(marked) == ["$int"] else marked


CASES = json.loads((WEB / "tests" / "pages" / "groups.json").read_text(), object_hook=_number)
"""The page's own tests have these cases too."""


@pytest.mark.parametrize("case", CASES)
def test_runs_with_equal_values_are_one_group(case: Any) -> None:
    found = group_runs(range(len(case["values"])), case["values"].__getitem__)
    assert [[name, len(inside)] for name, inside in found.items()] == case["groups"]
