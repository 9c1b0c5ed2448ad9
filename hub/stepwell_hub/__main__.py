"""`python -m stepwell_hub`, `stepwell hub`: arguments, settings, logging, exit code.

Exit codes: 0 stopped in order, 1 failed, 2 the settings are wrong, 3 another hub is there.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

from stepwell_hub.config import HubConfig, build_parser, check_data, check_is_used, load_config
from stepwell_hub.errors import AlreadyRunningError, HubConfigError, HubError
from stepwell_hub.serve import serve
from stepwell_store import StoreError
from stepwell_wire.capabilities import drop_capabilities
from stepwell_wire.hub_access import (
    KEY_FILE,
    STATE_FILE,
    HubKeyError,
    login_link,
    read_key,
    rotate_key,
)

OK: Final = 0
FAILED: Final = 1
BAD_CONFIG: Final = 2
ALREADY_RUNNING: Final = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a hub and return its exit code."""
    options = build_parser().parse_args(arguments)
    os.umask(0o077)
    drop_capabilities()
    try:
        config = load_config(options)
        if options.control_fd is None:  # Else a daemon started this hub.
            check_data(config, rotates_key=options.rotate_key)
            check_is_used(config)
        if options.rotate_key:
            return _rotate_key(config)
        _configure_logging(config)
        if options.control_fd is None:
            serve(config, announce=lambda url: _announce(config, url))
        else:
            serve(
                config,
                listener=socket.socket(fileno=options.listen_fd),
                control=socket.socket(fileno=options.control_fd),
            )
    except HubConfigError as error:
        return _report_error(error, BAD_CONFIG)
    except AlreadyRunningError as error:
        return _report_error(error, ALREADY_RUNNING)
    except (HubError, StoreError) as error:
        return _report_error(error, FAILED)
    return OK


def _rotate_key(config: HubConfig) -> int:
    was_usable = not (config.folder / KEY_FILE).exists() or _has_key(config)
    try:
        path = rotate_key(config.folder)
    except HubKeyError as error:
        return _report_error(error, FAILED)
    if was_usable or (config.folder / STATE_FILE).exists():
        print(f"{path} has a new key; `stepwell open` makes a login link")
    else:  # A daemon that started with the old one has no page.
        print(
            f"{path} has a new key; the old one was not usable. Restart the daemon if one runs: it "
            "has no page until then. After that, `stepwell open` makes a login link"
        )
    return OK


def _has_key(config: HubConfig) -> bool:
    try:
        read_key(config.folder)
    except HubKeyError:
        return False
    return True


def _announce(config: HubConfig, url: str) -> None:
    """Print the page's address; on a terminal a login link, elsewhere none, as others read logs."""
    if not sys.stdout.isatty():
        print(f"page     {url}/", flush=True)
        return
    print(f"page     {login_link(f'{url}/', read_key(config.folder), now=time.time())}")
    print("Ctrl-C stops the hub; `stepwell open` makes another link", flush=True)


def _configure_logging(config: HubConfig) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _report_error(error: Exception, code: int) -> int:
    print(f"stepwell hub: {error}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
