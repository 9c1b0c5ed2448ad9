"""`stepwell daemon …`: becomes the daemon; the arguments are the daemon's own."""

import os
import sys
from collections.abc import Sequence

from stepwell.cli.extras import require_daemon


def run(arguments: Sequence[str]) -> int:
    require_daemon()
    words = [sys.executable, "-m", "stepwell_daemon", *arguments]
    os.execv(words[0], words)
