"""Version a dataset, train on it, and version the model: the page shows what came of what.

stepwell run -- python examples/artifacts.py
"""

import csv
import random
import tempfile
from pathlib import Path

import stepwell

PROJECT = "artifacts-demo"


def prepare(folder: Path) -> None:
    """Make points near a line, and keep them as a dataset."""
    for name, count in (("train", 200), ("test", 50)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            rows = (
                (x, 3 * x + 1 + random.gauss(0, 0.1))
                for x in (random.random() for _ in range(count))
            )
            csv.writer(file).writerows(rows)
    with stepwell.init(project=PROJECT, job_type="data-prep") as run:
        dataset = stepwell.Artifact("line", type="dataset", description="points near a line")
        dataset.add_dir(folder)
        run.log_artifact(dataset)


def train(folder: Path) -> None:
    """Fit the line of the newest dataset by least squares, and keep slope and offset."""
    with stepwell.init(project=PROJECT, job_type="training") as run:
        run.use_artifact("line:latest").download(folder)
        with (folder / "train.csv").open(newline="") as file:
            points = [(float(x), float(y)) for x, y in csv.reader(file)]
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points)
        slope /= sum((x - mean_x) ** 2 for x, _ in points)
        run.log({"slope": slope, "offset": mean_y - slope * mean_x})
        model = stepwell.Artifact("line-model", type="model", metadata={"points": len(points)})
        with model.new_file("line.txt") as file:
            file.write(f"{slope} {mean_y - slope * mean_x}\n")
        run.log_artifact(model, aliases=["candidate"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        prepare(Path(made))  # Its files may go at once: they are held.
    with tempfile.TemporaryDirectory() as fetched:
        train(Path(fetched))
