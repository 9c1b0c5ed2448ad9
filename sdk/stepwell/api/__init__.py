"""Reading runs from Python: projects, runs and histories of a hub, over HTTP.

    api = stepwell.Api()
    for run in api.runs("mnist", {"config.lr": {"$lt": 0.01}}, order="-summary_metrics.acc"):
        print(run.name, run.config["lr"], run.summary["acc"])
    table = api.runs("mnist").history(["loss", "acc"], format="arrow")

Nothing here reads the store or starts anything. What one process writes of a run, `stepwell.init`
does; see docs/api.md.
"""

from stepwell.api._api import Api
from stepwell.api._artifacts import ArtifactCollection
from stepwell.api._files import File
from stepwell.api._projects import Project, Projects
from stepwell.api._run import Run
from stepwell.api._runs import Runs
from stepwell.api._sweeps import Sweep, Sweeps, Trial

__all__ = [
    "Api",
    "ArtifactCollection",
    "File",
    "Project",
    "Projects",
    "Run",
    "Runs",
    "Sweep",
    "Sweeps",
    "Trial",
]
