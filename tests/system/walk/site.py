"""Where a walk takes place: a daemon with the store, perhaps one that relays to it, and readers."""

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import psutil

from stepwell.cli.__main__ import main
from stepwell.cli.daemon_client import DaemonClient
from stepwell.cli.errors import CommandError
from stepwell_wire.hub_access import hub_dir, read_key
from stepwell_wire.journal_files import find_journals
from tests.node import Node, free_port
from tests.waiting import wait_until

Shape = Literal["embedded", "gateway"]
_RESTART_SECONDS_MAX = 30.0
"""An engine that was killed is up again within these seconds, on a loaded machine too."""
_SETTINGS = {
    "STEPWELLD_HUB": "auto",
    "STEPWELLD_HUB_PORT": "0",
    "STEPWELLD_SAMPLE_SECONDS": "0",
    "STEPWELLD_RECOVER_SECONDS": "0.3",
    "STEPWELLD_BLOCK_DELAY_SECONDS": "0.02",
}


class Outcome(NamedTuple):
    """What a command of the command line gave."""

    code: int
    out: str
    err: str


@dataclass
class Site:
    folder: Path
    store: Node
    """Its daemon has the store and the hub."""
    train: Node
    """Its daemon is the one that trainers know; the same one where nothing relays."""

    @property
    def nodes(self) -> list[Node]:
        """Those that relay before the one with the store."""
        return [self.store] if self.train is self.store else [self.train, self.store]

    @property
    def is_up(self) -> bool:
        return all(node.daemon is not None for node in self.nodes)

    def start(self) -> None:
        """Start the daemons that do not run."""
        for node in reversed(self.nodes):
            if node.daemon is None:
                node.start_daemon()

    def kill(self, node: Node) -> None:
        node.stop_daemon(how=signal.SIGKILL)

    def down(self, node: Node) -> None:
        """Stop a daemon as a user does."""
        done = self.call("down", "--socket", str(node.socket))
        assert done.code == 0, done
        assert node.daemon is not None
        assert node.daemon.wait(60) == 0, node.log()
        node.daemon = None

    def call(self, *words: str) -> Outcome:
        """Call the command line as on the node that has the store; again where it says so.

        A command that meets an engine at the moment of its kill asks for that.
        """
        done = self._call_once(*words)
        until = time.monotonic() + _RESTART_SECONDS_MAX
        while done.code and "is started again; try again" in done.err and time.monotonic() < until:
            time.sleep(0.2)
            done = self._call_once(*words)
        return done

    def _call_once(self, *words: str) -> Outcome:
        """Call the command line in this process."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        environment = {**self.store.environment, "STEPWELL_DIR": str(self.train.journals)}
        with (
            patch.dict(os.environ, environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = main(list(words))
            except SystemExit as error:  # So argparse ends, on wrong usage.
                code = int(error.code or 0)
        out.flush()
        written = out.buffer
        assert isinstance(written, io.BytesIO)
        return Outcome(code, written.getvalue().decode(), err.getvalue())

    def json_of(self, *words: str) -> Any:
        """Return what a command printed as JSON.

        Raises:
            AssertionError: It failed.
        """
        done = self.call(*words)
        assert done.code == 0, f"stepwell {' '.join(words)}: {done}"
        return json.loads(done.out)

    def settle(self, live: Sequence[str]) -> None:
        """Wait until all is stored but for what trainers that are alive log from now on.

        Args:
            live: the journals, by name, that stay: of live trainers, and those not sent yet.
        """
        problem = ""

        def done() -> bool:
            nonlocal problem
            left = {path.name for path in find_journals(self.train.journals)} - set(live)
            try:
                for node in self.nodes:
                    with DaemonClient(node.socket) as daemon:
                        stored, waiting = daemon.flush(10.0)
                    if not stored:
                        problem = f"{waiting} bytes wait in the spool of {node.folder.name}"
                        return False
            except CommandError as error:
                problem = str(error)
                return False
            problem = f"journals are left: {sorted(left)}"
            return not left

        try:
            wait_until(done, "everything to be stored")
        except AssertionError as error:
            logs = "\n".join(node.log() for node in self.nodes)
            raise AssertionError(f"{error}: {problem}\n{logs}") from None

    def points(self, project: str, run_id: str, metric: str, label: str) -> list[tuple[int, float]]:
        """Return step and value of all stored points of one series."""
        rows = self.json_of(
            "sql",
            "SELECT step, value FROM points WHERE series IN (SELECT series FROM series WHERE "
            f"project = '{project}' AND run_id = '{run_id}' AND metric = '{metric}' "
            f"AND label = '{label}')",
            "--format",
            "json",
        )
        return [(int(row["step"]), float(row["value"])) for row in rows]

    def kill_child(self, what: str) -> bool:
        """Kill the engine or the hub of the daemon; return whether there was one."""
        assert self.store.daemon is not None
        module = {"engine": "stepwell_store.engine", "hub": "stepwell_hub"}[what]
        for child in psutil.Process(self.store.daemon.pid).children():
            with contextlib.suppress(psutil.Error):
                if module in child.cmdline():
                    child.kill()
                    return True
        return False

    # ------------------------------------------------------------------ the hub

    @property
    def hub_url(self) -> str:
        """The page's address, without a slash at its end."""
        state = json.loads((hub_dir(self.store.data) / "hub.json").read_bytes())
        return str(state["url"]).rstrip("/")

    def hub(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Return status and body of what the hub answers; wait for a hub that starts."""
        given: tuple[int, bytes] = (0, b"")

        def answered() -> bool:
            nonlocal given
            try:
                given = self._ask(method, path, body)
            except (OSError, ValueError) as error:  # None yet, or one that was killed.
                given = 0, repr(error).encode()
            return given[0] not in (0, 503)

        try:
            wait_until(answered, f"the hub to answer {method} {path}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {given}") from None
        return given

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {read_key(hub_dir(self.store.data))}"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.hub_url}/api/v1{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def hub_json(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON that the hub answers.

        Raises:
            AssertionError: It refuses.
        """
        status, data = self.hub(method, path, body)
        assert status == 200, f"{method} {path}: {status} {data!r}"
        return json.loads(data)


def path_of(project: str, run_id: str = "") -> str:
    """Return the path of a project, or of a run, in the hub's API."""
    path = f"/projects/{urllib.parse.quote(project, safe='')}"
    return f"{path}/runs/{urllib.parse.quote(run_id, safe='')}" if run_id else path


@contextmanager
def made_site(shape: Shape, *, keep: bool = False) -> Iterator[Site]:
    """Make a site with its daemons running."""
    # Short: a unix socket's path has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sw-walk-"))
    (folder / "g").mkdir()
    store = Node(folder / "g", variables=dict(_SETTINGS))
    train = store
    if shape == "gateway":
        (folder / "n").mkdir()
        address = f"127.0.0.1:{free_port()}"
        store.arguments = ("--gateway-listen", address)
        relay = ("--sink", "gateway", "--gateway-address", address)
        train = Node(folder / "n", variables={**_SETTINGS, "STEPWELLD_HUB": "off"}, arguments=relay)
    site = Site(folder, store, train)
    try:
        site.start()
        yield site
    except BaseException:
        keep = True
        print(f"kept for a look: {folder}", file=sys.stderr)
        raise
    finally:
        for node in site.nodes:
            node.close()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
