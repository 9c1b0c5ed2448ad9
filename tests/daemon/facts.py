"""What a daemon says of itself, without a daemon."""

from pathlib import Path
from typing import Any

from stepwell_daemon.config import build_parser
from stepwell_daemon.delivery import SinkHealth
from stepwell_daemon.part_settings import load_config
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Facts


def facts_of(spool: Spool, folder: Path, health: SinkHealth | None = None, **more: Any) -> Facts:
    config = load_config(build_parser().parse_args(["--data", str(folder)]), {})
    return Facts(config, spool, spool.counters, health or SinkHealth(), accepting=True, **more)
