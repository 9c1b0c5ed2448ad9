"""A running hub: the store, the catalog and the application under uvicorn, from start to end.

Started by a daemon, it inherits a listening socket and a control socket:

    hub -> daemon   b"!" ready, then every 2 s b"+" (in use since the last one) or b"." (not)
    daemon -> hub   nothing; when the daemon closes its end, or dies, the hub ends
"""

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import uvicorn

from stepwell_hub.app import create_app
from stepwell_hub.asking import Asker
from stepwell_hub.catalog.door import CatalogDoor
from stepwell_hub.config import HubConfig, server_settings
from stepwell_hub.context import Context
from stepwell_hub.errors import AlreadyRunningError, HubConfigError
from stepwell_hub.key_file import KeyFile
from stepwell_hub.live import Feeds
from stepwell_hub.looking import store_look
from stepwell_hub.run_colors import RunColors
from stepwell_hub.sweeps.service import Sweeps
from stepwell_hub.tables.workers import TableWorkers
from stepwell_store import EmbeddedStore, Store, connect_embedded
from stepwell_store.queries import Limits
from stepwell_wire import __version__, service_notify
from stepwell_wire.hub_access import LOCK_FILE, STATE_FILE, HubKeyError, ensure_key
from stepwell_wire.hub_address import bind_hub
from stepwell_wire.watched_files import WatchedFiles

logger = logging.getLogger("stepwell_hub")

READY: Final = b"!"
IN_USE: Final = b"+"
IDLE: Final = b"."
_BEAT_SECONDS: Final = 2.0
_CONNECTIONS_MAX: Final = 1024
_DRAIN_SECONDS: Final = 3
_END_SECONDS: Final = 8.0


class Server(uvicorn.Server):
    """uvicorn's server that says when it is ready and ends live connections first."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order at SIGINT and SIGTERM; uvicorn's own way raises them again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)


def serve(
    config: HubConfig,
    *,
    listener: socket.socket | None = None,
    control: socket.socket | None = None,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until a signal, or until the owner ends.

    Args:
        listener: a socket that listens already.
        control: the owner's socket; with one the store is the owner's too.
        announce: called with the base address once requests are answered.

    Raises:
        AlreadyRunningError: Another hub uses the folder.
        HubConfigError: The key cannot be used, or the address cannot be listened on.
        StoreError: The store cannot be opened.
    """
    try:
        ensure_key(config.folder)
        keys = KeyFile(config.folder)
    except HubKeyError as error:
        raise HubConfigError(str(error)) from error
    with _claimed(config.folder):
        listener = listener or listen(config)
        store = open_store(config, is_owned=control is not None)
        try:
            _run(config, keys, store, listener, control, announce)
        finally:
            store.close()
            listener.close()


def open_store(config: HubConfig, *, is_owned: bool) -> Store:
    """Return the store that is read.

    Args:
        is_owned: a daemon owns the engine; the daemon may still be starting.
    """
    if config.store == "clickhouse":
        from stepwell_store.server.store import open_server  # Its driver is an extra.

        return open_server(server_settings(config))
    if is_owned:
        return EmbeddedStore(config.data, None)
    store = connect_embedded(config.data)
    if store.engine_pid is not None:
        try:
            store.migrate()
        except BaseException:
            store.close()
            raise
    return store


def make_context(
    config: HubConfig, store: Store, *, clock: Callable[[], float] = time.time
) -> Context:
    """Return the parts of a hub over ``store``.

    Args:
        clock: seconds since 1970 UTC; leases of trials end by it.
    """
    asker = Asker(
        store,
        Limits(timeout_seconds=config.query_seconds, memory_bytes=config.query_memory_bytes),
        queries_max=config.queries_max,
        waiting_max=config.queries_waiting_max,
        # Servers are asked for their version; they may be unavailable while the hub starts.
        prepare=getattr(store, "look", lambda: None),
    )
    feeds = Feeds(store_look(asker), listeners_max=config.listeners_max)
    catalog = CatalogDoor(config.folder, config.catalog)
    colors = RunColors(catalog, asker)
    workers = TableWorkers(
        workers_max=config.table_workers,
        waiting_max=config.queries_waiting_max,
        memory_bytes=config.query_memory_bytes,
        seconds=config.query_seconds,
    )
    blobs = config.open_blob_store()
    sweeps = Sweeps(
        catalog,
        asker,
        is_shared=bool(config.catalog),
        lease_seconds=config.sweep_lease_seconds,
        clock=clock,
    )
    return Context(config, store, asker, catalog, colors, feeds, blobs, workers, sweeps)


def _run(
    config: HubConfig,
    keys: KeyFile,
    store: Store,
    listener: socket.socket,
    control: socket.socket | None,
    announce: Callable[[str], None],
) -> None:
    address = config.address()
    url = address.base_url(listener.getsockname()[1])
    use = _Use()

    async def work() -> None:
        context = make_context(config, store)
        server = Server(
            uvicorn.Config(
                create_app(context, keys, on_request=use.note),
                log_config=None,
                access_log=False,
                http="httptools",
                ws="none",
                lifespan="on",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                limit_concurrency=_CONNECTIONS_MAX,
                ssl_certfile=address.cert_file,
                ssl_keyfile=address.key_file,
            ),
            on_ready=lambda: ready(),
            on_stop=lambda: stopping(),
        )

        def ready() -> None:
            _write_state(
                config.folder,
                url,
                listener.getsockname(),
                has_own_catalog=not config.catalog,
            )
            logger.info("ready url=%s", url)
            announce(url)
            tls, cert, cert_key = server.config.ssl, address.cert_file, address.key_file
            if tls is not None and cert is not None and cert_key is not None:
                keeping = _keep_certificate(tls, cert, cert_key)
                beating.append(asyncio.create_task(keeping, name="certificate"))
            if control is not None:
                control.sendall(READY)
                beating.append(asyncio.create_task(_beat(control, use, context.feeds), name="beat"))
            else:  # A daemon's hub has no service manager of its own.
                service_notify.notify(f"{service_notify.READY}\nSTATUS=serving {url}")
                beating.append(asyncio.create_task(service_notify.feed_watchdog(), name="watchdog"))

        def stopping() -> None:
            if control is None:
                service_notify.notify(service_notify.STOPPING)
            context.feeds.stop()
            context.sweeps.stop()

        beating: list[asyncio.Task[None]] = []
        if control is not None:
            _end_with_owner(control, server)
        try:
            await server.serve(sockets=[listener])
        finally:
            for task in beating:
                task.cancel()

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(work())
    finally:
        _remove_state(config.folder)


class _Use:
    """Whether the API was used since the last call of `take`."""

    def __init__(self) -> None:
        self._is_used = False

    def note(self) -> None:
        self._is_used = True

    def take(self) -> bool:
        used, self._is_used = self._is_used, False
        return used


async def _beat(control: socket.socket, use: _Use, feeds: Feeds) -> None:
    """Report to the owner that the loop runs, and whether the page is in use."""
    while True:
        await asyncio.sleep(_BEAT_SECONDS)
        in_use = use.take() or feeds.listener_count > 0
        with suppress(OSError):  # The thread below notices that the owner ended.
            control.sendall(IN_USE if in_use else IDLE)


async def _keep_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    """Load changed files into ``context``: they are valid from the next connection on."""

    def load() -> None:
        # First into another context: a key that does not fit would spoil this one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        context.load_cert_chain(cert, key)

    files = WatchedFiles((cert, key), load, what="the page's TLS", invalid=OSError, logger=logger)
    while True:
        await asyncio.sleep(_BEAT_SECONDS)
        files.current()


def _end_with_owner(control: socket.socket, server: uvicorn.Server) -> None:
    """End the hub when the owner closes its socket; by force when the loop is stuck."""

    def watch() -> None:
        with suppress(OSError):
            while control.recv(64):
                pass
        server.should_exit = True
        time.sleep(_END_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="owner", daemon=True).start()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]


def listen(config: HubConfig) -> socket.socket:
    """Return a listener; only the default port is replaced by another one if it is in use.

    A folder keeps the other port over restarts.

    Raises:
        HubConfigError: The address cannot be listened on.
    """
    try:
        listener = bind_hub(
            config.folder, config.host, config.port, is_named="port" in config.named
        )
    except OSError as error:
        raise HubConfigError(
            f"{config.host} port {config.port}: cannot listen ({error.strerror}); choose others "
            "with --host and --port, port 0 for any free one"
        ) from error
    port = listener.getsockname()[1]
    if config.port and port != config.port:
        logger.warning("port %d was in use, the page is on another port=%d", config.port, port)
    return listener


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that one hub at a time uses it."""
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AlreadyRunningError(
            f"another hub uses {folder}{_where_it_is(folder)}; stop it, or choose another folder "
            "with --data. While it runs, a daemon of this folder has no page of its own and, with "
            "the embedded store, stores nothing: its data waits in the spool"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def _where_it_is(folder: Path) -> str:
    """Return address and process of the hub that uses ``folder``, "" if they are not known."""
    try:
        state = json.loads((folder / STATE_FILE).read_bytes())
        return f" (pid {int(state['pid'])}, {state['url']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_state(
    folder: Path, url: str, listens: tuple[Any, ...], *, has_own_catalog: bool
) -> None:
    state = {
        "url": url,
        "listens": listens[:2],
        "pid": os.getpid(),
        "version": __version__,
        "started_at": time.time(),
        "has_own_catalog": has_own_catalog,
    }
    scratch = folder / f"{STATE_FILE}.new"
    scratch.write_text(json.dumps(state))
    scratch.replace(folder / STATE_FILE)


def _remove_state(folder: Path) -> None:
    path = folder / STATE_FILE
    with suppress(OSError, ValueError):
        if json.loads(path.read_bytes())["pid"] == os.getpid():
            path.unlink()
