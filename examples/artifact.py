"""Version a dataset in one run, and use it in another.

stepwell run -- python examples/artifact.py
"""

import csv
import tempfile
from pathlib import Path

import stepwell

PROJECT = "example-artifact"

with (
    stepwell.init(project=PROJECT, job_type="prepare") as run,
    tempfile.TemporaryDirectory() as made,
):
    with Path(made, "points.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("x", "y"), *((x, 2 * x + 1) for x in range(100))])
    dataset = stepwell.Artifact("points", type="dataset", metadata={"rows": 100})
    dataset.add_dir(made)
    run.log_artifact(dataset, aliases=["small"])

with stepwell.init(project=PROJECT, job_type="train") as run:
    folder = run.use_artifact("points:latest").download()
    with Path(folder, "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    slope = (float(rows[-1]["y"]) - float(rows[0]["y"])) / (len(rows) - 1)
    run.log({"slope": slope})
    print(f"read {len(rows)} rows from {folder}")
