"""A training process that logs a folder as an artifact when told to; run by `bench_artifacts.py`.

    python artifacts_caller.py stepwell|wandb

For each line on stdin, the path of a folder, it logs that as an artifact. It prints the seconds of
`add_dir`, of `log_artifact`, and (stepwell) from the first to the committed version, as JSON. Both
modules are called in the same words.
"""

import importlib
import json
import sys
import time
from typing import Any


def main(name: str) -> None:
    module: Any = importlib.import_module(name)
    run = module.init(project="bench-artifacts")
    run.log({"started": 1})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        folder = line.strip()
        artifact = module.Artifact("files", type="dataset")
        began = time.perf_counter()
        artifact.add_dir(folder)
        added = time.perf_counter()
        run.log_artifact(artifact)
        logged = time.perf_counter()
        if name == "stepwell":
            artifact.wait()
        done = time.perf_counter()
        said = {"add": added - began, "log": logged - added, "commit": done - began}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    run.finish()


if __name__ == "__main__":
    main(sys.argv[1])
