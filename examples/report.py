"""Writes a report about the runs of a project, and prints its address.

stepwell up &
python examples/train_digits.py
python examples/report.py digits
"""

import sys

import stepwell


def main() -> None:
    project = sys.argv[1] if len(sys.argv) > 1 else "digits"
    text = "".join(
        (
            "# Results\n\n",
            "The best run, and all of them:\n\n",
            stepwell.panel("value", metric="validation/loss", best="min"),
            "\n",
            stepwell.panel("runs", columns=["state", "duration", "metric.validation/loss:min"]),
            "\n## Losses\n\n",
            stepwell.panel("line", match="loss$", limit=5),
        )
    )
    print(stepwell.report("Results", text, project=project).url)


if __name__ == "__main__":
    main()
