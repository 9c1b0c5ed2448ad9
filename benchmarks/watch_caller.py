"""A training process of ten linear layers that may watch its model; run by `bench_watch.py`.

    python watch_caller.py none|stepwell|wandb DEVICE

For each line on stdin it makes ten training steps and prints the seconds of a step. With a module
every tenth step is recorded: gradients and parameters, by the same call.
"""

import importlib
import sys
import time
from typing import Any

import torch

LAYERS, WIDTH, BATCH, LOG_FREQ = 10, 1000, 16, 10


def main(name: str, device: str) -> None:
    torch.set_num_threads(1)
    torch.set_default_device(device)
    torch.manual_seed(1)
    model = torch.nn.Sequential(*(torch.nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    run: Any = None
    if name != "none":
        module = importlib.import_module(name)
        run = module.init(project="bench-watch")
        run.watch(model, log="all", log_freq=LOG_FREQ)
    data = torch.randn(BATCH, WIDTH)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(LOG_FREQ):
            optimizer.zero_grad()
            loss = model(data).square().mean()
            loss.backward()
            optimizer.step()
            if run is not None:
                run.log({"loss": loss.item()})
        seconds = (time.perf_counter() - began) / LOG_FREQ
        sys.stdout.write(f"{seconds}\n")
        sys.stdout.flush()
    if run is not None:
        run.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
