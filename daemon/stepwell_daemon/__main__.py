"""`stepwelld`: arguments, configuration, event loop, signals, exit code.

Exit codes: 0 orderly stop, 1 failure, 2 wrong configuration, 3 another daemon uses the socket, 4 a
daemon with another socket uses the data folder.
"""

import os
import sys

# Before grpc is imported: its fork handlers are not needed here and can block a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from typing import Final

from stepwell_daemon import failpoints, inheritance
from stepwell_daemon.blobs.start_check import check_at_start
from stepwell_daemon.config import DaemonConfig, build_parser, is_unknown
from stepwell_daemon.errors import (
    AlreadyRunningError,
    DaemonConfigError,
    DaemonError,
    DataHeldError,
)
from stepwell_daemon.instance import Instance
from stepwell_daemon.log_file import configure_logging
from stepwell_daemon.part_settings import (
    check_is_used,
    check_journals,
    check_places,
    load_config,
    unused_settings,
)
from stepwell_daemon.serve import Daemon, sink_kind
from stepwell_wire import __version__
from stepwell_wire.lock_notes import PERSONAL, SERVICE

OK: Final = 0
FAILED: Final = 1
BAD_CONFIG: Final = 2
ALREADY_RUNNING: Final = 3
DATA_HELD: Final = 4

logger = logging.getLogger("stepwell_daemon")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon and return its exit code."""
    options = build_parser().parse_args(arguments)
    if options.personal:
        inheritance.leave_behind()
    is_logged = False
    try:
        config = load_config(options)
        if options.check_config:
            check_places(config)
            check_is_used(config)
            print(config.to_json())
            return OK
        os.umask(0o077)
        configure_logging(config.log_file, config.log_level)
        is_logged = bool(config.log_file)
        if armed := failpoints.arm(os.environ.get(failpoints.VARIABLE, "")):
            logger.warning("fail-points are set, for tests only: %s", ", ".join(armed))
        if unused := unused_settings(config):
            logger.warning("%s", unused)
        for name in filter(is_unknown, os.environ) if options.personal else ():
            logger.warning("unknown setting %s is ignored", name)
        kind = PERSONAL if options.personal else SERVICE
        with Instance(config.data, config.socket, kind=kind) as instance:
            logger.info(
                "starting version=%s pid=%d socket=%s data=%s sink=%s",
                __version__,
                os.getpid(),
                config.socket,
                config.data,
                sink_kind(config),
            )
            try:
                check_journals(config)
            except DaemonConfigError as error:
                if os.path.exists(config.journals):
                    raise
                logger.warning("%s", error)  # Its file system may come later.
            if warning := check_at_start(config):
                logger.warning("%s", warning)
            daemon_loop(
                config,
                lambda: load_config(options),
                instance,
                personal=options.personal,
            )
    except DaemonConfigError as error:
        return _report_error(error, BAD_CONFIG, is_logged=is_logged)
    except DataHeldError as error:
        return _report_error(error, DATA_HELD, is_logged=is_logged)
    except AlreadyRunningError as error:
        return _report_error(error, ALREADY_RUNNING, is_logged=is_logged)
    except DaemonError as error:
        return _report_error(error, FAILED, is_logged=is_logged)
    return OK


def daemon_loop(
    config: DaemonConfig,
    load: Callable[[], DaemonConfig],
    instance: Instance,
    *,
    personal: bool = False,
) -> None:
    """Run a daemon until it ends; a signal that requests the end is noted in ``instance``."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop

    async def run() -> None:
        daemon = Daemon(
            config, load=load, personal=personal, take_socket=instance.take_socket_again
        )
        loop = asyncio.get_running_loop()

        def stop() -> None:
            instance.note_stopped()
            daemon.stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, daemon.reload)
        await daemon.run()

    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(run())
        except BaseExceptionGroup as group:
            # Not `except*`: Python before 3.11.4 wraps an error raised there into a group again.
            if (error := _first_of(group)) is None:
                raise
            raise error from None


def _first_of(group: BaseExceptionGroup[BaseException]) -> DaemonError | None:
    """Return the first DaemonError in ``group``, also in a group of it, if it has no other."""
    named, others = group.split(DaemonError)
    if named is None or others is not None:
        return None
    error: BaseException = named
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, DaemonError)
    return error


def _report_error(error: Exception, code: int, *, is_logged: bool) -> int:
    """Print the error, and log it too if the log goes to a file.

    Args:
        is_logged: the log goes to a file, not to standard error.
    """
    if is_logged:
        logger.error("%s", error)
    print(f"stepwelld: {error}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
