"""`stepwell daemon …`: becomes the daemon; the arguments are the daemon's own."""

import os
from collections.abc import Sequence

from stepwell.cli.extras import module_command, require_daemon


def run(arguments: Sequence[str]) -> int:
    require_daemon()
    words = [*module_command("stepwell_daemon"), *arguments]
    os.execv(words[0], words)
