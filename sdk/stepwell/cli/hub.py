"""`stepwell hub …`: becomes the hub; the arguments are the hub's own."""

import os
from collections.abc import Sequence

from stepwell.cli.extras import module_command, require_hub


def run(arguments: Sequence[str]) -> int:
    require_hub()
    words = [*module_command("stepwell_hub"), *arguments]
    os.execv(words[0], words)
