"""A real DataLoader: its workers are forked in the middle of logging, epoch after epoch."""

import importlib.util
import subprocess
import sys

import pytest

from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.node import Node

pytestmark = pytest.mark.processes

DEBIAN = "/usr/lib/python3/dist-packages"
"""Where Debian's python3-torch lies, which has no CUDA; behind our own packages on the path."""

_IMPORT = f"import sys; sys.path.append({DEBIAN!r}); import torch"


def _has_torch() -> bool:
    if importlib.util.find_spec("torch") is not None:
        return True
    return subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True).returncode == 0


_TRAIN = f"""
import warnings
warnings.simplefilter("ignore")
{_IMPORT}
from torch.utils.data import DataLoader, Dataset
import stepwell

EPOCHS, WORKERS, LENGTH = 25, 4, 64

class Numbers(Dataset):
    "Each item is logged by the worker that makes it, when WORKERS_LOG is set."
    def __init__(self, run):
        self.run = run
    def __len__(self):
        return LENGTH
    def __getitem__(self, place):
        if WORKERS_LOG:
            worker = torch.utils.data.get_worker_info().id
            self.run.log({{f"worker/{{EPOCH}}/{{worker}}": float(place)}}, step=place)
        return torch.tensor([float(place), 1.0])

run = stepwell.init(project="torch", id="loader", settings={{"console": False}})
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
data = Numbers(run)
persistent = DataLoader(data, batch_size=8, num_workers=WORKERS, persistent_workers=True)
step = 0
for EPOCH in range(EPOCHS):
    WORKERS_LOG = EPOCH % 5 == 0
    forked = DataLoader(data, batch_size=8, num_workers=WORKERS, shuffle=True)
    for loader in (forked, persistent):
        for batch in loader:
            optimizer.zero_grad()
            loss = model(batch).square().mean()
            loss.backward()
            optimizer.step()
            run.log({{"loss": loss, "step": step}}, step=step)
            step += 1
        WORKERS_LOG = False
run.finish()
print(step)
"""


@pytest.mark.holds("forks")
def test_the_workers_of_a_real_data_loader(node: Node) -> None:
    """A hundred forks by epochs, and four workers that live on; some epochs' workers log."""
    # Asked here: torch takes seconds to import, and each worker collects this file.
    if not _has_torch():
        pytest.skip("needs torch, such as Debian's python3-torch")
    node.start_daemon()
    outcome = node.python(_TRAIN)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    steps = int(outcome.stdout.split()[-1])
    assert steps == 25 * 2 * 8
    wait_until_stored(node)
    held = stored_points(node)
    assert held.pop(("loader", "step")) == one_each(steps, float)
    assert [step for step, _ in held.pop(("loader", "loss"))] == list(range(steps))
    for epoch in range(0, 25, 5):
        places = [
            point
            for worker in range(4)
            for point in held.pop(("loader", f"worker/{epoch}/{worker}"))
        ]
        assert sorted(places) == one_each(64, float)
    assert not held
