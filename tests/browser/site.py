"""A daemon and its hub as real processes, runs that the SDK logs into them, links that sign in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepwell.cli.daemon_client import DaemonClient
from stepwell_wire.hub_access import hub_dir, login_link, page_path, read_key
from tests.node import Node, free_port, made_node

_START_SECONDS = 60.0

_TRAINER = """
import json, os, sys
import stepwell
answers = int(sys.argv[1])
run = None

def medium(told):
    if isinstance(told, list):
        return [medium(each) for each in told]
    if "html" in told:
        return stepwell.Html(told["html"], data_is_not_path=True)
    if "columns" in told:
        rows = [[medium(each) if isinstance(each, dict) else each for each in row]
                for row in told["rows"]]
        return stepwell.Table(columns=told["columns"], data=rows)
    return stepwell.Image(told["image"], caption=told.get("caption"), boxes=told.get("boxes"))

for line in sys.stdin:
    order = json.loads(line)
    kind = order.pop("do")
    if kind == "init":
        run = stepwell.init(**order)
    elif kind == "print":
        print(order["text"], file=sys.stderr if order["error"] else sys.stdout, flush=True)
    elif kind == "summary":
        run.summary.update(order["values"])
    elif kind == "log":
        for row in order["rows"]:
            run.log(row)
    elif kind == "define":
        run.define_metric(order["name"], step_metric=order["step_metric"])
    elif kind == "histograms":
        for row in order["rows"]:
            run.log({name: stepwell.Histogram(np_histogram=pair) for name, pair in row.items()})
    elif kind == "media":
        for row in order["rows"]:
            run.log({name: medium(told) for name, told in row.items()})
    elif kind == "finish":
        run.finish(exit_code=order["exit_code"])
    if kind != "finish":
        run.flush()
    os.write(answers, b"+")
"""


class Trainer:
    """A training process that does what it is told, one thing at a time.

    Each method returns when the daemon has what was logged on disk.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._answers, theirs = os.pipe()
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _TRAINER, str(theirs)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(theirs,),
            )
        os.close(theirs)

    def init(self, project: str, **arguments: Any) -> "Trainer":
        return self._do("init", project=project, **arguments)

    def log(self, *rows: dict[str, Any]) -> "Trainer":
        return self._do("log", rows=list(rows))

    def define(self, name: str, *, step_metric: str) -> "Trainer":
        return self._do("define", name=name, step_metric=step_metric)

    def histograms(self, *rows: dict[str, tuple[list[float], list[float]]]) -> "Trainer":
        """Log rows of histograms, each as (counts, edges)."""
        return self._do("histograms", rows=list(rows))

    def media(self, *rows: dict[str, Any]) -> "Trainer":
        """Log rows of media.

        A value is {"image": rows of pixels or a path, "caption", "boxes"}, {"html"},
        {"columns", "rows"} of a table, or a list of these.
        """
        return self._do("media", rows=list(rows))

    def print(self, text: str, *, error: bool = False) -> "Trainer":
        return self._do("print", text=text, error=error)

    def summary(self, values: dict[str, Any]) -> "Trainer":
        return self._do("summary", values=values)

    def finish(self, exit_code: int = 0) -> "Trainer":
        return self._do("finish", exit_code=exit_code)

    def close(self) -> None:
        """End the process, by force where it does not end by itself."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(60)
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self._answers)

    def _do(self, what: str, **arguments: Any) -> "Trainer":
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        self._process.stdin.flush()
        if os.read(self._answers, 1) != b"+":
            raise AssertionError(f"the trainer ended in {what!r}:\n{self._log.read_text()[-4000:]}")
        return self


@dataclass
class Site:
    """A node with a hub, in a folder of its own."""

    node: Node
    hub: subprocess.Popen[bytes] | None = None
    """A hub that is no child of the daemon, where the test wants to stop and start it."""
    port: int = 0

    @property
    def url(self) -> str:
        """The hub's address, without a slash at its end."""
        return str(self._state()["url"]).rstrip("/")

    @property
    def key(self) -> str:
        return read_key(hub_dir(self.node.data))

    def link(self, path: str = "/") -> str:
        """Return an address that signs a browser in, once."""
        return login_link(f"{self.url}{path}", self.key, now=time.time())

    def run_path(self, project: str, run_id: str = "", tab: str = "") -> str:
        return page_path(project, run_id) + (f"/{tab}" if tab else "")

    def trainer(self) -> Trainer:
        return Trainer(self.node.environment, self.node.folder / "trainers.log")

    def flush(self) -> None:
        """Wait until all that was logged is in the store."""
        with DaemonClient(self.node.socket) as daemon:
            stored, waiting = daemon.flush(_START_SECONDS)
        assert stored, f"{waiting} bytes wait\n{self.node.log()}"

    def wait_for_hub(self) -> None:
        path = hub_dir(self.node.data) / "hub.json"
        deadline = time.monotonic() + _START_SECONDS
        while not path.exists():
            if time.monotonic() > deadline:
                raise AssertionError(f"no hub within a minute:\n{self.node.log()}")
            time.sleep(0.05)

    def start_hub(self) -> None:
        """Start a hub on the port that this site had before."""
        self.port = self.port or free_port()
        words = [sys.executable, "-m", "stepwell", "hub"]
        words += ["--data", str(self.node.data), "--port", str(self.port)]
        with (self.node.folder / "hub.log").open("ab") as log:
            self.hub = subprocess.Popen(words, env=self.node.environment, stdout=log, stderr=log)
        self.wait_for_hub()

    def kill_hub(self) -> None:
        assert self.hub is not None
        os.kill(self.hub.pid, signal.SIGKILL)
        self.hub.wait(60)
        (hub_dir(self.node.data) / "hub.json").unlink(missing_ok=True)
        self.hub = None

    def close(self) -> None:
        if self.hub is not None:
            self.kill_hub()

    def _state(self) -> dict[str, Any]:
        path = hub_dir(self.node.data) / "hub.json"
        state: dict[str, Any] = json.loads(path.read_text())
        return state


@contextmanager
def site_running(*arguments: str, own_hub: bool = False) -> Iterator[Site]:
    """A daemon with the hub that it starts itself.

    Args:
        arguments: more for the daemon.
        own_hub: the daemon starts no hub; ``Site.start_hub`` has started one beside it.
    """
    with made_node() as node:
        site = Site(node)
        hub = ("--hub", "off") if own_hub else ("--hub", "auto", "--hub-port", "0")
        node.start_daemon(*hub, *arguments)
        try:
            if own_hub:
                site.start_hub()
            else:
                site.wait_for_hub()
            yield site
        finally:
            site.close()
