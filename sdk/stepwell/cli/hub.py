"""`stepwell hub …`: becomes the hub; the arguments are the hub's own."""

import os
import sys
from collections.abc import Sequence

from stepwell.cli.extras import require_hub


def run(arguments: Sequence[str]) -> int:
    require_hub()
    words = [sys.executable, "-m", "stepwell_hub", *arguments]
    os.execv(words[0], words)
