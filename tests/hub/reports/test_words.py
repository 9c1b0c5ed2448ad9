"""Words of an exported file, which are those of the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from stepwell_hub.reports.words import column_titles

WEB = Path(__file__).parents[3] / "hub" / "web"
TITLES = json.loads((WEB / "tests" / "state" / "columnTitles.json").read_text())
"""The page's own tests have these cases too."""


@pytest.mark.parametrize("case", TITLES, ids=[",".join(case["columns"]) for case in TITLES])
def test_columns_have_the_titles_of_the_page(case: Any) -> None:
    assert column_titles(case["columns"]) == case["titles"]
