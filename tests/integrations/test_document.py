"""A document's blocks run as they are written, without wandb.

STEPWELL_TEST_DOCUMENT names a Markdown file. Its blocks of Python and YAML, whose first line is a
comment that names the file, go into one folder; every script runs there under `stepwell run`, in
the order of the document. Without the variable this is skipped: the examples and the other tests
beside this one show the same calls.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.conftest import PYTHON
from tests.node import Node, made_node
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.slow]

_DOCUMENT = os.environ.get("STEPWELL_TEST_DOCUMENT", "")
_BLOCK = re.compile(r"^```(python|yaml)\n# ([\w.-]+\.(?:py|ya?ml))\b(.*?)^```$", re.M | re.S)
_PROJECT = re.compile(r"project=\"([\w-]+)\"|\"WANDB_PROJECT\"\] = \"([\w-]+)\"")


def blocks() -> dict[str, str]:
    """Return the text of each block by the name of its file."""
    if not _DOCUMENT:
        return {}
    text = Path(_DOCUMENT).read_text()
    return {name: f"# {name}{rest}" for _, name, rest in _BLOCK.findall(text)}


BLOCKS = blocks()
SCRIPTS = [name for name in BLOCKS if name.endswith(".py")] or [""]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    if not BLOCKS:
        pytest.skip("STEPWELL_TEST_DOCUMENT names no document with blocks: the examples are tried")
    if not PYTHON.exists():
        pytest.skip("REAL FRAMEWORKS ARE NOT TESTED: `make integrations` installs them")
    with made_node() as made:
        made.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0", "STEPWELL_GIT": "0"}
        made.start_daemon()
        for name, text in BLOCKS.items():
            (made.folder / name).write_text(text)
        data = made.folder / "data" / "processed"
        data.mkdir(parents=True)
        for number in range(3):
            (data / f"part-{number}.csv").write_text("x,y\n" + f"{number},1\n" * 1000)
        (made.folder / "model.pt").write_bytes(os.urandom(100_000))
        yield made


def under_stepwell(node: Node, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "stepwell", "run", "--", *words],
        env={**node.environment, "HF_HUB_OFFLINE": "1"},
        cwd=node.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_wandb_is_not_installed_and_its_login_succeeds(node: Node) -> None:
    there = subprocess.run([str(PYTHON), "-c", "import wandb"], capture_output=True, check=False)
    assert there.returncode != 0
    done = under_stepwell(node, "wandb", "login")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_the_document(node: Node, name: str) -> None:
    done = under_stepwell(node, str(PYTHON), name)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "not available yet" not in done.stderr
    if "import wandb" not in BLOCKS[name]:
        return
    for project in {one or other for one, other in _PROJECT.findall(BLOCKS[name])}:
        states = states_of(node, project)
        assert set(states) == {"finished"}, (project, states)


def states_of(node: Node, project: str) -> list[str]:
    """Return the states of the runs of a project, when all have ended."""
    states: list[str] = []

    def ended() -> bool:
        nonlocal states
        said = node.stepwell("runs", "--project", project, "--json")
        states = [each["state"] for each in json.loads(said.stdout)] if not said.returncode else []
        return bool(states) and "running" not in states

    wait_until(ended, f"the runs of {project}")
    return states
