"""Charts of a classifier: curves, a confusion matrix, and charts of tables.

stepwell run -- python examples/charts.py
"""

import numpy as np

import stepwell
from stepwell import plot

CLASSES, SAMPLES, EPOCHS = ["cat", "dog", "horse"], 600, 20

random = np.random.default_rng(0)
truths = random.integers(0, len(CLASSES), SAMPLES)
scores = random.dirichlet(np.ones(len(CLASSES)), SAMPLES) + 0.5 * np.eye(len(CLASSES))[truths]
scores /= scores.sum(axis=1, keepdims=True)
guesses = scores.argmax(axis=1)

accuracy = stepwell.Table(columns=["class", "accuracy"])
for number, name in enumerate(CLASSES):
    accuracy.add_data(name, float((guesses[truths == number] == number).mean()))
certainty = stepwell.Table(columns=["sample", "score of the guess"])
for sample in range(SAMPLES):
    certainty.add_data(sample, float(scores[sample].max()))
decays = {"fast": 0.7, "slow": 0.9}
rates = [[0.1 * decay**epoch for epoch in range(EPOCHS)] for decay in decays.values()]

with stepwell.init(project="charts") as run:
    run.log(
        {
            "roc": plot.roc_curve(truths, scores, labels=CLASSES),
            "precision_recall": plot.pr_curve(truths, scores, labels=CLASSES),
            "confusion": plot.confusion_matrix(
                y_true=truths, preds=guesses, class_names=CLASSES, title="Confusion matrix"
            ),
            "accuracy": plot.bar(accuracy, "class", "accuracy", title="Accuracy by class"),
            "certainty": plot.histogram(certainty, "score of the guess", title="Certainty"),
            "samples": plot.scatter(certainty, "sample", "score of the guess", title="Samples"),
            "rates": plot.line_series(
                range(EPOCHS), rates, list(decays), "Learning rates", "epoch"
            ),
        }
    )
