"""What one trial of examples/sweep.yaml runs: descent on a narrow valley, with momentum.

    stepwell sweep examples/sweep.yaml
    stepwell agent ID

or by itself, with settings of its own:

    python examples/sweep.py --learning_rate 0.02 --momentum 0.9 --schedule cosine
"""

import argparse
import math
import time

import stepwell

STEPS, STEEP = 60, 25.0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--learning_rate", type=float, default=0.01)
parser.add_argument("--momentum", type=float, default=0.5)
parser.add_argument("--schedule", choices=("constant", "cosine"), default="constant")

with stepwell.init(project="sweep-demo", config=vars(parser.parse_args())) as run:
    config = run.config
    place, speed = [-1.5, 1.0], [0.0, 0.0]
    for step in range(STEPS):
        share = 0.5 * (1 + math.cos(math.pi * step / STEPS)) if config.schedule == "cosine" else 1
        gradients = (place[0] - 1, STEEP * place[1])
        for axis, gradient in enumerate(gradients):
            speed[axis] = config.momentum * speed[axis] - config.learning_rate * share * gradient
            place[axis] += speed[axis]
        loss = 0.5 * ((place[0] - 1) ** 2 + STEEP * place[1] ** 2)
        run.log({"loss": min(loss, 1e6)})
        time.sleep(0.05)  # Stands for work, so that a bad trial can be stopped.
        if loss > 1e6:
            break  # It has diverged.
