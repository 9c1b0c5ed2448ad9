"""Train a small network on scikit-learn's handwritten digits, and log how it goes.

    stepwell run -- python examples/train_digits.py
    python examples/train_digits.py --epochs 20 --learning-rate 0.05

The data comes with scikit-learn: 1,797 images of 8 × 8 pixels, each moved by up to one pixel
whenever it is seen. The network has one hidden layer and is written out in numpy, so that nothing
hides between the loss and what is logged.
"""

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import stepwell

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

CLASS_COUNT = 10
SIDE = 8  # pixels of an image
SHOWN_MAX = 16


def main() -> None:
    """Train, log, and print a line every ten epochs."""
    options = parse_arguments()
    random = np.random.default_rng(options.seed)
    train_x, train_y, test_x, test_y = load_data(options.seed)
    parameters = make_network(random, inputs=train_x.shape[1], hidden=options.hidden)
    velocity = {name: np.zeros_like(values) for name, values in parameters.items()}

    with stepwell.init(project="digits", config=vars(options)) as run:
        run.define_metric("validation/loss", summary="min", goal="minimize")
        run.define_metric("validation/accuracy", summary="max", goal="maximize")
        print(f"{len(train_x)} images to learn from, {len(test_x)} to check with")
        step = 0
        for epoch in range(options.epochs):
            started = time.perf_counter()
            rate = options.learning_rate * options.decay**epoch
            order = random.permutation(len(train_x))
            for first in range(0, len(order), options.batch_size):
                chosen = order[first : first + options.batch_size]
                images = moved(random, train_x[chosen])
                loss, accuracy, gradients = learn(parameters, images, train_y[chosen])
                for name, gradient in gradients.items():
                    velocity[name] = options.momentum * velocity[name] - rate * gradient
                    parameters[name] += velocity[name]
                run.log(
                    {
                        "train/loss": loss,
                        "train/accuracy": accuracy,
                        "train/learning_rate": rate,
                        "train/gradient_norm": norm(gradients),
                    },
                    step=step,
                )
                step += 1
            loss, accuracy, _ = learn(parameters, test_x, test_y)
            seconds = time.perf_counter() - started
            run.log(
                {
                    "epoch": epoch,
                    "validation/loss": loss,
                    "validation/accuracy": accuracy,
                    "images_per_second": len(train_x) / seconds,
                    **histograms("gradients", gradients),
                    **histograms("parameters", parameters),
                },
                step=step - 1,
            )
            if (epoch + 1) % 10 == 0:
                run.log(
                    {
                        "validation/mistakes": mistakes(parameters, test_x, test_y),
                        "validation/confusion": confusion(parameters, test_x, test_y),
                    },
                    step=step - 1,
                )
                print(f"epoch {epoch + 1:3d}  loss {loss:.4f}  accuracy {accuracy:.4f}")
        run.summary["parameters"] = int(sum(values.size for values in parameters.values()))
        run.summary["test_errors"] = round((1 - accuracy) * len(test_x))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small network on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--decay", type=float, default=0.985)
    parser.add_argument("--momentum", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def load_data(seed: int) -> tuple[Array, Labels, Array, Labels]:
    """Return pixels (0 to 1) and digits to train with, then those to check with."""
    images, digits = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        images / 16.0, digits, test_size=0.25, random_state=seed, stratify=digits
    )
    return train_x, train_y, test_x, test_y


def moved(random: np.random.Generator, images: Array) -> Array:
    """Return each image moved by -1, 0 or 1 pixels across and down; what is uncovered is blank."""
    padded = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    across, down = random.integers(0, 3, (2, len(images), 1, 1))
    rows = down + np.arange(SIDE)[:, None]
    columns = across + np.arange(SIDE)
    found: Array = padded[np.arange(len(images))[:, None, None], rows, columns]
    return found.reshape(images.shape)


def make_network(random: np.random.Generator, *, inputs: int, hidden: int) -> dict[str, Array]:
    """Return weights and biases of two layers (He et al. 2015 for the weights' spread)."""
    return {
        "weights_1": random.normal(0.0, np.sqrt(2.0 / inputs), (inputs, hidden)),
        "biases_1": np.zeros(hidden),
        "weights_2": random.normal(0.0, np.sqrt(2.0 / hidden), (hidden, CLASS_COUNT)),
        "biases_2": np.zeros(CLASS_COUNT),
    }


def learn(
    parameters: dict[str, Array], images: Array, digits: Labels
) -> tuple[float, float, dict[str, Array]]:
    """Return mean cross-entropy, accuracy (0 to 1) and the gradients for one batch."""
    hidden = np.maximum(images @ parameters["weights_1"] + parameters["biases_1"], 0.0)
    scores = hidden @ parameters["weights_2"] + parameters["biases_2"]
    scores -= scores.max(axis=1, keepdims=True)  # No exponential overflows then.
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    rows = np.arange(len(digits))
    loss = float(-np.log(chances[rows, digits]).mean())
    accuracy = float((chances.argmax(axis=1) == digits).mean())

    error = chances
    error[rows, digits] -= 1.0
    error /= len(digits)
    back = (error @ parameters["weights_2"].T) * (hidden > 0.0)
    gradients = {
        "weights_1": images.T @ back,
        "biases_1": back.sum(axis=0),
        "weights_2": hidden.T @ error,
        "biases_2": error.sum(axis=0),
    }
    return loss, accuracy, gradients


def guess(parameters: dict[str, Array], images: Array) -> Labels:
    """Return the digit that the network takes each image for."""
    hidden = np.maximum(images @ parameters["weights_1"] + parameters["biases_1"], 0.0)
    guesses: Labels = (hidden @ parameters["weights_2"] + parameters["biases_2"]).argmax(axis=1)
    return guesses


def confusion(parameters: dict[str, Array], images: Array, digits: Labels) -> stepwell.Table:
    """Return how often each digit was taken for which, with the first image of each pair."""
    guesses = guess(parameters, images)
    table = stepwell.Table(columns=["digit", "guess", "count", "first"])
    for digit in range(CLASS_COUNT):
        for other in range(CLASS_COUNT):
            found = np.flatnonzero((digits == digit) & (guesses == other))
            if len(found):
                first = stepwell.Image(images[found[0]].reshape(SIDE, SIDE))
                table.add_data(digit, other, len(found), first)
    return table


def mistakes(parameters: dict[str, Array], images: Array, digits: Labels) -> list[stepwell.Image]:
    """Return the first digits that the network takes for others, eight times as large."""
    guesses = guess(parameters, images)
    wrong = np.flatnonzero(guesses != digits)[:SHOWN_MAX]
    return [
        stepwell.Image(
            np.kron(images[each].reshape(SIDE, SIDE), np.ones((8, 8))),
            caption=f"{digits[each]}, taken for {guesses[each]}",
        )
        for each in wrong
    ]


def histograms(kind: str, arrays: dict[str, Array]) -> dict[str, stepwell.Histogram]:
    """Return what `run.watch` records of a torch model, of these arrays."""
    return {f"{kind}/{name}": stepwell.Histogram(values) for name, values in arrays.items()}


def norm(gradients: dict[str, Array]) -> float:
    """Return the length of all gradients as one vector."""
    return float(np.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values())))


if __name__ == "__main__":
    main()
