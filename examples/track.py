"""The smallest use: a configuration, and metrics at every step.

stepwell run -- python examples/track.py
"""

import math
import random

import stepwell

config = {"learning_rate": 0.01, "epochs": 50, "optimizer": "adam"}

with stepwell.init(project="first-steps", name="curve", config=config) as run:
    for epoch in range(run.config.epochs):
        loss = math.exp(-epoch * run.config.learning_rate * 10) + random.uniform(0, 0.05)
        run.log({"epoch": epoch, "train/loss": loss, "train/accuracy": 1 - loss / 2})
