"""The hub's process: started, watched and restarted by the daemon that owns the store.

The daemon makes the key and listens before the hub runs. So the page's address is known with the
first welcome and stays the same after a restart of the hub, and a browser that connects meanwhile
waits. The hub inherits the listening socket and one end of a control socket (`stepwell_hub.serve`).
It ends when the daemon closes the other end or dies. Without a heartbeat it counts as hung and is
killed.
"""

import asyncio
import fcntl
import json
import logging
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

from stepwell_daemon.backoff import Backoff
from stepwell_daemon.config import DaemonConfig, wants_hub
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.hub_commands import ControlPlace, own_place, place_of
from stepwell_wire.hub_access import LOCK_FILE, HubKeyError, ensure_key, hub_dir
from stepwell_wire.hub_address import bind_hub
from stepwell_wire.installation import install_command
from stepwell_wire.interpreter import helper_command

logger = logging.getLogger("stepwell_daemon")

LOG_FILE: Final = "hub.log"
NEEDED: Final = ("stepwell_hub", "starlette", "uvicorn", "httptools", "msgspec", "sqlalchemy")
READY: Final = b"!"
IN_USE: Final = b"+"
BAD_CONFIG: Final = 2
FOLDER_TAKEN: Final = 3
_LOG_BYTES_MAX: Final = 4 << 20
_SILENT_SECONDS: Final = 30.0
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 8.0
_HEALTHY_SECONDS: Final = 60.0
_TAKEN_POLL_SECONDS: Final = 2.0
_REFUSE_SECONDS: Final = 5.0
_WORDS_MAX: Final = 1000


class HubProcess:
    """One hub at a time, kept alive by `run`.

    Attributes:
        url: the page's address, "" while there is no hub.
        folder: the folder with the hub's key, "" while there is no hub.
        restarts: number of restarts.
        pid: the running process, None while none runs.
        is_ready: the running process answers requests.
        status_url: the address of the daemon's /status.json; set before `run`.
    """

    def __init__(
        self,
        config: DaemonConfig,
        *,
        on_use: Callable[[], None] = lambda: None,
        silent_seconds: float = _SILENT_SECONDS,
    ) -> None:
        """
        Args:
            on_use: called when a browser uses the page.
            silent_seconds: after this time without a heartbeat the hub counts as hung.
        """
        self._config = config
        self._on_use = on_use
        self._silent_seconds = silent_seconds
        self._listener: socket.socket | None = None
        self.url = ""
        self.folder = ""
        self.restarts = 0
        self.problem = ""
        self.status_url = ""
        self.pid: int | None = None
        self.is_ready = False

    def prepare(self) -> None:
        """Make the key and listen; if no hub can be started, log the reason once.

        Raises:
            DaemonConfigError: It is impossible to listen on the address.
        """
        config = self._config
        if not wants_hub(config):
            return
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            logger.warning(
                "no page, packages are missing (run `%s`): %s",
                install_command("hub"),
                ", ".join(missing),
            )
            return
        try:
            ensure_key(hub_dir(config.data))
        except HubKeyError as error:
            self.problem = f"no page: {error}"
            logger.error("%s", self.problem)
            return
        try:
            self._listener = bind_hub(
                hub_dir(config.data),
                config.hub_host,
                config.hub_port,
                is_named="hub_port" in config.named,
            )
        except OSError as error:
            raise DaemonConfigError(
                f"hub_host {config.hub_host} port {config.hub_port}: cannot listen "
                f"({error.strerror}); choose others with `stepwell up --host` and `--port`, "
                "or `stepwelld --hub-host` and `--hub-port`. Port 0 means any free port, "
                "STEPWELLD_HUB=off means no page"
            ) from error
        port = self._listener.getsockname()[1]
        if config.hub_port not in (0, port):
            logger.warning(
                "the page is on port %d, because port %d was in use at this start or an earlier "
                "one; start once with `stepwell up --port %d` or `stepwelld --hub-port %d` to have "
                "it on that port",
                port,
                *[config.hub_port] * 3,
            )
        self.url = config.hub_address().base_url(port)
        self.folder = str(hub_dir(config.data))

    async def run(self) -> None:
        """Keep a hub running until cancelled; return at once if there is no hub."""
        if self._listener is None:
            return
        backoff = Backoff(first_seconds=0.2)
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if code == BAD_CONFIG:
                self._give_up()
                return
            if code == FOLDER_TAKEN:
                await self._wait_for_folder()
                continue
            if time.monotonic() - started > _HEALTHY_SECONDS:
                backoff.reset()
            delay = backoff.next_delay()
            self.restarts += 1
            logger.warning(
                "the hub ended unexpectedly, restarting code=%s delay_seconds=%.1f: %s",
                code,
                delay,
                _last_words(self._log_path()),
            )
            log = self._log_path()
            self.problem = f"the hub ended with code {code} and is started again; see {log}"
            await asyncio.sleep(delay)

    def control_place(self) -> ControlPlace | None:
        """Return the place where this machine asks the hub for commands, None without a hub.

        Raises:
            HubSilentError: There is a hub, and its key cannot be read.
        """
        config = self._config
        if self._listener is not None and self.url:
            address = self._listener.getsockname()[:2]
            return own_place(address, self.url, Path(self.folder), tls=bool(config.hub_cert_file))
        if config.hub_url and config.hub_control_key_file:
            return place_of(config.hub_url, Path(config.hub_control_key_file).expanduser())
        return None

    def close(self) -> None:
        """Stop listening. Can be called twice."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.url = self.folder = ""

    def _give_up(self) -> None:
        self.problem = f"no page: {_last_words(self._log_path())}"
        logger.error("the hub rejected its settings, not restarting it: %s", self.problem)
        self.close()

    async def _wait_for_folder(self) -> None:
        """Return when no other hub uses the folder."""
        words = _last_words(self._log_path())
        words = words.removeprefix("stepwell hub: ")
        self.problem = f"no page of its own: {words}. The page starts when the other hub ends"
        logger.warning(
            "another hub uses the folder, waiting until it ends folder=%s: %s",
            hub_dir(self._config.data),
            words,
        )
        lock = hub_dir(self._config.data) / LOCK_FILE
        async with self._refusing(self.problem):
            while True:  # The end of a foreign process sends no event, so its lock is polled.
                if not await asyncio.to_thread(_is_locked, lock):
                    break
                await asyncio.sleep(_TAKEN_POLL_SECONDS)
        logger.info("the other hub ended, starting the hub")

    @asynccontextmanager
    async def _refusing(self, words: str) -> AsyncIterator[None]:
        """Answer each request with 503 and ``words``, because no hub reads from the listener.

        With TLS it answers nothing: only a hub has the certificate.
        """
        assert self._listener is not None
        if self._config.hub_cert_file:
            yield
            return
        body = json.dumps({"error": {"code": "no_hub", "message": words}}).encode()
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_REFUSE_SECONDS):
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(head + body)
                    await writer.drain()
            writer.close()

        server = await asyncio.start_server(refuse, sock=self._listener.dup())
        try:
            yield
        finally:
            server.close()

    async def _run_once(self) -> int | None:
        """Start a hub; return its exit code when it has ended."""
        assert self._listener is not None
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:  # No descriptor is left.
            logger.error("starting the hub failed: %s", error)
            return None
        ours.setblocking(False)
        try:
            with theirs, _open_log(self._log_path()) as log:
                process = await asyncio.create_subprocess_exec(
                    *self._command(self._listener.fileno(), theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self._listener.fileno(), theirs.fileno()),
                    start_new_session=True,
                    env=self._environment(),
                )
        except OSError as error:
            ours.close()
            logger.error("starting the hub failed: %s", error)
            return None
        self.pid = process.pid
        try:
            await self._watch(ours, process)
            return process.returncode
        finally:
            self.pid = None
            self.is_ready = False
            ours.close()
            await _end(process)

    async def _watch(self, control: socket.socket, process: asyncio.subprocess.Process) -> None:
        """Return when the hub has ended; kill it if it is silent for too long."""
        loop = asyncio.get_running_loop()
        limit = _START_SECONDS
        while True:
            try:
                async with asyncio.timeout(limit):
                    beats = await loop.sock_recv(control, 64)
            except TimeoutError:
                logger.error("the hub does not respond, killing it pid=%d", process.pid)
                process.kill()
                break
            except OSError:
                break
            if not beats:
                break
            if READY in beats:
                limit = self._silent_seconds
                self.problem = ""
                self.is_ready = True
                logger.info("the hub started pid=%d url=%s", process.pid, self.url)
            if IN_USE in beats:
                self._on_use()
            await asyncio.to_thread(bound_log, self._log_path())
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _command(self, listen_fd: int, control_fd: int) -> list[str]:
        config = self._config
        words = helper_command("stepwell_hub")
        words += ["--listen-fd", str(listen_fd), "--control-fd", str(control_fd)]
        for name, value in (
            ("data", config.data),
            ("store", "embedded"),
            ("blob-store", config.blob_store),
            ("host", config.hub_host),
            ("port", config.hub_port),
            ("url", config.hub_url),
            ("cert-file", config.hub_cert_file),
            ("key-file", config.hub_key_file),
            ("proxy", config.hub_proxy),
            ("log-level", config.log_level),
            ("journals", ":".join(map(str, (config.journals, *config.further_journal_roots())))),
            ("daemon-status", self.status_url),
        ):
            words += [f"--{name}={value}"]
        return words

    def _environment(self) -> dict[str, str]:
        # Not a flag: the address may contain a password, and command lines are public.
        catalog = self._config.hub_catalog
        return {**os.environ, **({"STEPWELLHUB_CATALOG": catalog} if catalog else {})}

    def _log_path(self) -> Path:
        return hub_dir(self._config.data) / LOG_FILE


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that ``process`` has ended; its control socket is closed already."""
    if process.returncode is not None:
        return
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError) as error:
        with suppress(ProcessLookupError):
            process.kill()
        if isinstance(error, asyncio.CancelledError):
            raise
        await process.wait()


def _is_locked(path: Path) -> bool:
    """Return whether another process holds the lock at ``path``."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open_log(path: Path) -> IO[bytes]:
    """Open the hub's log to append."""
    bound_log(path)
    return path.open("ab")


def bound_log(path: Path, *, bytes_max: int = _LOG_BYTES_MAX) -> None:
    """Begin a large log again; its last ``bytes_max`` are kept once beside it.

    The content is copied; the file is not renamed, because the hub continues to append to the same
    file. Lines that it writes during the copy are lost.
    """
    try:
        if path.stat().st_size <= bytes_max:
            return
        with path.open("rb+") as log:
            log.seek(-bytes_max, os.SEEK_END)
            path.with_suffix(".log.1").write_bytes(log.read(bytes_max))
            log.truncate(0)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("shortening the hub's log failed, free disk space: %s", error)


def _last_words(path: Path) -> str:
    try:
        lines = path.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return "no log"
    return lines[-1][:_WORDS_MAX] if lines else "no log"
