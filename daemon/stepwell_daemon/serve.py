"""The composition root: builds the parts, starts them bottom-up, stops them top-down."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc

from stepwell_daemon.config import RELOADS, DaemonConfig
from stepwell_daemon.control import Control
from stepwell_daemon.counters import Counters
from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.http import serve_http
from stepwell_daemon.instance import prepare_socket
from stepwell_daemon.local_writer import LocalWriter
from stepwell_daemon.notify import notify, watchdog_seconds
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.recovery import Recovery
from stepwell_daemon.samplers.host import HostSampler
from stepwell_daemon.samplers.schedule import Sampling
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Status
from stepwell_store import Store
from stepwell_wire import limits, service
from stepwell_wire.places import default_journals_dir

logger = logging.getLogger("stepwell_daemon")


class Daemon:
    """The parts of one running daemon and the settings in force."""

    def __init__(self, config: DaemonConfig, store: Store) -> None:
        self.config = config
        self.store = store
        self.counters = Counters()
        # One thread each: commits never wait for a slow store, nor samples for either.
        self.commit_thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self.forward_thread = ThreadPoolExecutor(1, thread_name_prefix="forward")
        self.other_threads = ThreadPoolExecutor(3, thread_name_prefix="other")
        self.spool = Spool(
            config.data / "spool",
            segment_bytes=config.spool_segment_bytes,
            bytes_max=config.spool_bytes_max,
        )
        self.receiver = Receiver(self.spool, self.counters, writers_max=config.writers_max)
        self.forwarder = Forwarder(self.spool, store, self.counters, self.forward_thread)
        self.sampling = Sampling(
            HostSampler(config.data), LocalWriter(self.spool), self.other_threads
        )
        self.recovery = Recovery(
            self.spool, self.receiver, self.counters, self.other_threads, default_journals_dir()
        )
        self.status = Status(
            config,
            self.spool,
            self.receiver,
            self.forwarder,
            self.sampling,
            self.counters,
            store,
            started_at=time.time(),
        )

    def reload(self, config: DaemonConfig) -> list[str]:
        """Take over the settings that can change while running; return what changed."""
        changed = [n for n in sorted(RELOADS) if getattr(config, n) != getattr(self.config, n)]
        self.config = replace(self.config, **{name: getattr(config, name) for name in changed})
        self.forwarder.config = self.status.config = self.config
        logging.getLogger("stepwell_daemon").setLevel(self.config.log_level.upper())
        self.sampling.changed.set()
        return changed

    def close(self) -> None:
        for executor in (self.commit_thread, self.forward_thread, self.other_threads):
            executor.shutdown(wait=True, cancel_futures=True)
        self.spool.close()


@contextlib.asynccontextmanager
async def accepting_frames(daemon: Daemon) -> AsyncIterator[None]:
    """Serve the socket; on leaving, refuse what is new and end open streams."""
    config = daemon.config
    control = Control(daemon.status, daemon.spool, daemon.forwarder)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", limits.MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", limits.MESSAGE_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        ],
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                service.INGEST_SERVICE,
                {"Stream": grpc.stream_stream_rpc_method_handler(daemon.receiver.stream)},
            ),
            grpc.method_handlers_generic_handler(
                service.CONTROL_SERVICE,
                {
                    "Status": grpc.unary_unary_rpc_method_handler(control.status),
                    "Flush": grpc.unary_unary_rpc_method_handler(control.flush),
                    "Health": grpc.unary_unary_rpc_method_handler(control.health),
                },
            ),
        )
    )
    prepare_socket(config.socket)
    server.add_insecure_port(f"unix:{config.socket}")
    await server.start()
    config.socket.chmod(int(config.socket_mode, 8))
    try:
        yield
    finally:
        daemon.receiver.refusing = "the daemon is stopping; writers keep their journals"
        await server.stop(grace=1.0)
        config.socket.unlink(missing_ok=True)


async def serve(daemon: Daemon, stop: asyncio.Event) -> None:
    """Run the daemon until ``stop`` is set, then drain and return."""
    config = daemon.config
    async with contextlib.AsyncExitStack() as stack:
        if config.metrics_port >= 0:
            http, daemon.status.metrics_url = await serve_http(
                daemon.status, config.host, config.metrics_port
            )
            stack.callback(http.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        background = [
            tasks.create_task(daemon.spool.commit_forever(daemon.commit_thread), name="commit"),
            tasks.create_task(daemon.forwarder.forward_forever(config), name="forward"),
            tasks.create_task(
                daemon.recovery.recover_forever(config.recover_seconds), name="recover"
            ),
            tasks.create_task(
                daemon.sampling.sample_forever(lambda: daemon.config.sample_seconds),
                name="sample",
            ),
            tasks.create_task(_watch(daemon, stop), name="watch"),
        ]
        async with accepting_frames(daemon):
            line = f"ready socket={config.socket} metrics={daemon.status.metrics_url or 'none'}"
            print(line, file=sys.stderr, flush=True)
            notify(f"READY=1\nSTATUS={line}")
            await stop.wait()
            notify("STOPPING=1")
            logger.info("stopping, draining")
        for task in background[2:]:
            task.cancel()
        if not await daemon.forwarder.wait_stored_now(daemon.config.drain_seconds):
            # Not a loss: what is spooled is forwarded after the next start.
            logger.warning("stopping undrained spooled_bytes=%d", daemon.spool.unforwarded_bytes())
        for task in background:
            task.cancel()


async def _watch(daemon: Daemon, stop: asyncio.Event) -> None:
    """Feed systemd's watchdog and end an idle daemon that was told to."""
    watchdog = watchdog_seconds()
    idle_limit = daemon.config.idle_exit_seconds
    if watchdog is None and not idle_limit:
        return
    pause = min([seconds for seconds in (watchdog, idle_limit / 4) if seconds] + [30.0])
    while True:
        await asyncio.sleep(pause)
        if watchdog is not None:
            notify("WATCHDOG=1")
        idle = time.monotonic() - daemon.receiver.last_activity
        busy = daemon.receiver.connections or daemon.spool.unforwarded_bytes() > 64 * 1024
        if idle_limit and not busy and idle >= idle_limit:
            logger.info("no writer for %.0f s, ending", idle)
            stop.set()
            return
