"""The composition root: builds the parts, starts them bottom-up, stops them top-down."""

import asyncio
import errno
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.blobs.part import Blobs
from stepwell_daemon.checks import Checks
from stepwell_daemon.config import DaemonConfig, check_reload
from stepwell_daemon.control import Control
from stepwell_daemon.counters import Counters
from stepwell_daemon.departures import Departures
from stepwell_daemon.endpoints import routes
from stepwell_daemon.errors import DaemonConfigError, SpoolNotOpenedError
from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.gateway.listener import Listener
from stepwell_daemon.gateway.relay import Relay
from stepwell_daemon.gateway.tokens import Tokens
from stepwell_daemon.http_server import HttpServer
from stepwell_daemon.hub_commands import HubCommands
from stepwell_daemon.hub_process import HubProcess
from stepwell_daemon.journal_places import JournalPlaces
from stepwell_daemon.local_server import LocalServer
from stepwell_daemon.log_file import set_level
from stepwell_daemon.part_settings import forward_settings, server_settings, spool_settings
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.recovery import JournalRecovery
from stepwell_daemon.removals import Removals
from stepwell_daemon.samplers.known import chosen_samplers
from stepwell_daemon.samplers.node_writer import NodeWriters
from stepwell_daemon.samplers.protocol import SamplerContext
from stepwell_daemon.samplers.schedule import Sampling
from stepwell_daemon.sink_errors import kind_of
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.status import Facts
from stepwell_daemon.upkeep import SCARCE, Upkeep
from stepwell_daemon.writers import trainers
from stepwell_store import Store, StoreError, open_embedded
from stepwell_wire import service_notify
from stepwell_wire.page_file import note_page

logger = logging.getLogger("stepwell_daemon")

_CHECK_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 5.0
_STREAMS_END_SECONDS: Final = 2.0

OpenStore = Callable[[DaemonConfig], Store]


def open_configured_store(config: DaemonConfig) -> Store:
    """Return the store of ``config``; one on servers is not connected yet."""
    if config.sink == "clickhouse":
        from stepwell_store.server.store import open_server  # Its driver is an extra.

        return open_server(server_settings(config))
    return open_embedded(config.data, memory_bytes_max=config.engine_memory_bytes)


def sink_kind(config: DaemonConfig) -> str:
    """Return the sink's name in the status, from the daemon's first answer on."""
    if config.sink == "gateway":
        return f"gateway {config.gateway_address}"
    return server_settings(config).kind if config.sink == "clickhouse" else config.sink


def _bind_problem(error: OSError) -> str:
    """Return the problem alone: asyncio adds the address, which the message has."""
    if error.errno == errno.EADDRINUSE:
        return os.strerror(error.errno)
    return error.strerror or str(error)


class Daemon:
    """One running daemon. ``run`` is called once."""

    def __init__(
        self,
        config: DaemonConfig,
        *,
        load: Callable[[], DaemonConfig],
        open_store: OpenStore = open_configured_store,
        personal: bool = False,
        take_socket: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            load: reads the configuration again, for a reload.
            personal: a training script or a command started it.
            take_socket: prepares the socket's path again after its files were removed.
        """
        self.stop = asyncio.Event()
        self._config = config
        self._personal = personal
        self._take_socket = take_socket
        self._load = load
        self._open_store = open_store
        self._store: Store | None = None
        self._store_executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._activity = asyncio.Event()
        self._looked = asyncio.Event()
        self._checks = Checks()
        self._stopping = threading.Event()
        self._departures = Departures(self._checks.request)

    async def run(self) -> None:
        """Serve until ``stop`` is set, then drain and return."""
        config = self._config
        counters = Counters()
        folder = config.data / "spool"
        try:
            # Reading a large spool takes a while; no other task runs yet.
            spool = await asyncio.to_thread(
                Spool, folder, spool_settings(config), counters=counters
            )
        except OSError as error:
            raise SpoolNotOpenedError(folder, error) from error
        forwarder = Forwarder(spool, forward_settings(config), counters=counters)
        self._facts = facts = Facts(
            config,
            spool,
            counters,
            forwarder.health,
            sink_kind=sink_kind(config),
            personal=self._personal,
        )
        removals = Removals(
            facts,
            spool,
            forwarder,
            store=lambda: self._store,
            executor=self._store_executor,
            should_stop=self._stopping.is_set,
        )
        places = JournalPlaces(
            config.journals,
            config.further_journal_roots(),
            socket=config.socket,
            data=config.data,
        )
        self._hub = hub = HubProcess(config, on_use=self._activity.set)
        commands = HubCommands(hub.control_place, spool.registry.connected)
        receiver = Receiver(
            spool,
            counters=counters,
            writers_max=config.writers_max,
            connections_max=config.connections_max,
            hello_seconds=config.hello_seconds,
            places=places,
            hub=hub,
            commands=commands,
            check_run=removals.check,
            on_change=self._activity.set,
            on_left=self._departures.note_left,
        )
        self._blobs = blobs = Blobs(
            config, spool, places=places, counters=counters, find_hub=hub.control_place
        )
        try:
            await blobs.open()
        except OSError as error:
            raise SpoolNotOpenedError(config.data / "blobs", error) from error
        facts.blobs = blobs
        self._upkeep = upkeep = Upkeep(
            facts,
            blobs,
            store=lambda: self._store,
            executor=self._store_executor,
            should_stop=self._stopping.is_set,
        )
        self._recovery = JournalRecovery(
            spool,
            places=places,
            counters=counters,
            take_blobs=blobs.intake.take_rest,
            is_held=removals.is_held,
        )
        node = NodeWriters(spool)
        self._sampling = Sampling(
            chosen_samplers(config.samplers),
            SamplerContext(config.data, time.monotonic, partial(trainers, spool.registry)),
            node.append,
            seconds=config.sample_seconds,
        )
        facts.samplers = self._sampling.healths
        listener = None
        if (listening := config.listen_settings()) is not None:
            tokens = Tokens(listening.tokens_file)
            relay = Relay(receiver, spool, tokens=tokens, until_free=removals.free)
            listener = Listener(listening, relay, blobs.relayed_handlers(tokens))
            facts.relaying = lambda: relay.daemons
        server = LocalServer(
            config.socket,
            (
                receiver.handlers(),
                blobs.service.handlers(),
                blobs.artifacts.handlers(),
                Control(facts, spool, forwarder, blobs.pipeline, removals, self._checks).handlers(),
            ),
            group=config.socket_group,
            take_path=self._take_socket,
            on_listening=lambda: note_page(config.socket, hub.url, hub.folder),
        )
        http = HttpServer(routes(facts))
        try:
            async with asyncio.TaskGroup() as tasks:
                committing = tasks.create_task(spool.run(), name="commit")
                forwarding = tasks.create_task(self._forward(forwarder), name="forward")
                if listener is not None:
                    await listener.start()
                    facts.gateway_port = listener.port
                await self._listen(server, http)
                others = [
                    tasks.create_task(server.keep(), name="socket"),
                    tasks.create_task(self._recover(), name="recover"),
                    tasks.create_task(self._sampling.run(), name="sample"),
                    tasks.create_task(upkeep.keep_retention(), name="retention"),
                    tasks.create_task(removals.run(), name="removals"),
                    tasks.create_task(service_notify.feed_watchdog(), name="watchdog"),
                    tasks.create_task(self._watch_idleness(receiver, spool), name="idleness"),
                    tasks.create_task(self._keep_hub(hub), name="hub"),
                    tasks.create_task(commands.run(), name="hub-commands"),
                    tasks.create_task(blobs.run(), name="blobs"),
                    tasks.create_task(upkeep.collect_blobs(), name="collect-blobs"),
                ]
                await self.stop.wait()
                service_notify.notify(service_notify.STOPPING)
                logger.info("stopping")
                for task in others:
                    task.cancel()
                if listener is not None:
                    facts.accepting = False
                    await listener.stop(_STREAMS_END_SECONDS)
                await self._drain(receiver, server, http, forwarder)
                forwarding.cancel()
                committing.cancel()
        finally:
            await self._close(forwarder)
            blobs.close()
            self._hub.close()
            note_page(self._config.socket, "")
            spool.save_writers()
            spool.close()
        logger.info("stopped spooled_bytes=%d", spool.unforwarded_bytes)

    def reload(self) -> None:
        """Read the configuration again and apply the changeable settings."""
        try:
            loaded = self._load()
        except DaemonConfigError as error:
            logger.error("reloading the configuration failed: %s", error)
            self._facts.reload_problem = (
                f"reloading the configuration failed, the settings stay as they were: {error}"
            )
            return
        config, applied, refused = check_reload(self._config, loaded)
        self._facts.reload_problem = ""
        if refused:
            logger.warning("changes that need a restart: %s", ", ".join(refused))
            self._facts.reload_problem = (
                f"changes of the configuration that need a restart: {', '.join(refused)}"
            )
        set_level(config.log_level)
        if config.sample_seconds != self._config.sample_seconds:
            self._sampling.change(config.sample_seconds)
        self._config = self._facts.config = config
        self._upkeep.due.set()
        logger.info("configuration reloaded changed=%s", ",".join(applied) or "none")

    # ------------------------------------------------------------------ start and stop

    async def _listen(self, server: LocalServer, http: HttpServer) -> None:
        config, facts = self._config, self._facts
        try:
            await http.start(
                config.host, config.metrics_port, may_move="metrics_port" not in config.named
            )
        except OSError as error:
            raise DaemonConfigError(
                f"host {config.host} port {config.metrics_port}: cannot listen "
                f"({_bind_problem(error)}); choose others for /metrics with `stepwell up "
                "--metrics-host` and `--metrics-port`, or `stepwelld --host` and "
                "`--metrics-port`; port 0 is any free one"
            ) from error
        facts.metrics_url = f"{http.url}/metrics"
        self._hub.status_url = f"{http.url}/status.json"
        self._hub.prepare()
        facts.hub = self._hub
        await server.start()
        facts.accepting = True
        service_notify.notify(f"{service_notify.READY}\nSTATUS=accepting frames")
        line = f"ready socket={config.socket} metrics={facts.metrics_url}"
        print(line, file=sys.stderr, flush=True)

    async def _drain(
        self, receiver: Receiver, server: LocalServer, http: HttpServer, forwarder: Forwarder
    ) -> None:
        facts = self._facts
        facts.accepting = False
        await receiver.drain(_SETTLE_SECONDS)
        await server.stop(_STREAMS_END_SECONDS)
        await http.close()
        if facts.store_problem or not facts.health.healthy:
            return  # Waiting would not help.
        try:
            async with asyncio.timeout(self._config.drain_seconds):
                await forwarder.reach(facts.spool.end)
        except TimeoutError:
            # Not a loss: spooled frames are forwarded after the next start.
            logger.warning(
                "stopping before all is stored spooled_bytes=%d", facts.spool.unforwarded_bytes
            )

    async def _close(self, forwarder: Forwarder) -> None:
        self._departures.close()
        self._recovery.close()
        self._stopping.set()
        # The store first: this ends an insert that hangs.
        await asyncio.to_thread(self._close_store)
        forwarder.close()

    def _close_store(self) -> None:
        """Close the store when its thread has ended; a deletion takes a while."""
        self._store_executor.shutdown(wait=True, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    # ------------------------------------------------------------------ tasks

    async def _forward(self, forwarder: Forwarder) -> None:
        if self._config.sink == "gateway":
            await forwarder.run_relay(self._config.relay_settings())
            return
        await self._forward_to_store(forwarder)

    async def _forward_to_store(self, forwarder: Forwarder) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(first_seconds=0.5)
        while True:
            try:
                await loop.run_in_executor(self._store_executor, self._open_and_migrate)
            except (StoreError, *SCARCE) as error:
                if not backoff.failures:
                    logger.error("opening the store failed, frames wait in the spool: %s", error)
                self._facts.store_problem = str(error)
                self._facts.store_problem_kind = kind_of(error)
                await asyncio.sleep(backoff.next_delay())
                continue
            break
        if backoff.failures:
            logger.info("the store is open")
        self._facts.store_problem = ""
        assert self._store is not None
        self._facts.engine_restarts = lambda: getattr(self._store, "restarts", 0)
        self._upkeep.due.set()
        await self._blobs.note_table(self._store)
        await forwarder.run(self._store)

    def _open_and_migrate(self) -> None:
        if self._store is None:
            self._store = self._open_store(self._config)
        self._store.migrate()

    async def _recover(self) -> None:
        self._facts.journal_problems = self._recovery.problems
        while True:
            with self._checks.making():
                await self._look_for_dead_writers()
            self._looked.set()
            self._facts.spool.registry.forget_idle(now=time.time(), monotonic=time.monotonic())
            await self._checks.due(self._config.recover_seconds or _CHECK_SECONDS)

    async def _look_for_dead_writers(self) -> None:
        if self._config.recover_seconds > 0:
            try:
                await self._recovery.look()
            except SCARCE as error:
                logger.error(
                    "looking for journals of dead writers failed, trying again later: %s", error
                )
            self._facts.journal_problems = self._recovery.problems | self._recovery.refused

    async def _keep_hub(self, hub: HubProcess) -> None:
        await hub.run()  # It returns if there is no hub, or if the settings allow none.
        note_page(self._config.socket, hub.url, hub.folder)

    async def _watch_idleness(self, receiver: Receiver, spool: Spool) -> None:
        """Set ``stop`` when no client has been connected and no work was left for long enough."""
        seconds = self._config.idle_exit
        if not seconds:
            return
        await self._looked.wait()
        wait = seconds
        while True:
            self._activity.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._activity.wait()
            except TimeoutError:
                pass
            else:
                wait = seconds
                continue
            if not receiver.connections:
                if spool.is_forwarded and self._blobs.is_idle:
                    logger.info("idle, stopping idle_exit=%g", seconds)
                    self.stop.set()
                    return
                wait = min(1.0, seconds)  # Only the last sample is not stored yet.
            else:
                wait = seconds
