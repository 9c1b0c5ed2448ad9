"""stepwelld: arguments, configuration, logging, loop, signals, exit code.

Exit codes: 0 stopped as asked, 1 failed, 2 the configuration is wrong, 3 another daemon is there.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

from stepwell_daemon.config import DaemonConfig, load_config, render
from stepwell_daemon.errors import AlreadyRunningError, ConfigError
from stepwell_daemon.instance import lock_data, prepare_socket

logger = logging.getLogger("stepwell_daemon")


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        config, only_check = load_config(words, os.environ)
        if only_check:
            print(render(config))
            return 0
        _log_to(config)
        os.umask(0o007)
        lock = lock_data(config.data)
        prepare_socket(config.socket)
    except ConfigError as error:
        print(f"stepwelld: {error}", file=sys.stderr)
        return 2
    except AlreadyRunningError as error:
        print(f"stepwelld: {error}", file=sys.stderr)
        return 3
    try:
        return _run(config, words)
    finally:
        os.close(lock)


def _log_to(config: DaemonConfig) -> None:
    handler: logging.Handler = (
        logging.FileHandler(config.log_file) if config.log_file else logging.StreamHandler()
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name in ("stepwell_daemon", "stepwell_store"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(config.log_level.upper())


def _run(config: DaemonConfig, words: list[str]) -> int:
    # gRPC's fork handlers are of no use here and cost every child process.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from stepwell_store import StoreError, open_embedded

    try:
        store = open_embedded(config.data, memory_bytes_max=config.engine_memory_bytes)
        store.migrate()
    except StoreError as error:
        print(f"stepwelld: {error}", file=sys.stderr)
        return 1
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, words, store))
    finally:
        store.close()
    return 0


def _loop_factory():  # type: ignore[no-untyped-def]
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(config: DaemonConfig, words: list[str], store) -> None:  # type: ignore[no-untyped-def]
    from stepwell_daemon.serve import Daemon, serve

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    daemon = Daemon(config, store)

    def reload() -> None:
        try:
            changed = daemon.reload(load_config(words, os.environ)[0])
            logger.info("reloaded changed=%s", ",".join(changed) or "nothing")
        except ConfigError as error:
            logger.error("not reloaded, going on as before error=%s", error)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        await serve(daemon, stop)
    finally:
        daemon.close()


if __name__ == "__main__":
    sys.exit(main())
