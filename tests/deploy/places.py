"""Where the files for deployment are, and which of their tools are here."""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
DEPLOY: Final = ROOT / "deploy"
TOOLS: Final = ROOT / ".venv-deploy" / "bin"


INSTALLS: Final = "scripts/install_test_packages.sh installs it"


def needs(program: str, how: str = INSTALLS) -> pytest.MarkDecorator:
    """Return the mark of tests that need a program; CI must have it."""
    is_missing = shutil.which(program) is None and not os.environ.get("CI")
    return pytest.mark.skipif(is_missing, reason=f"no {program} here; {how}")
