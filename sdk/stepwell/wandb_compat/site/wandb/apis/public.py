"""What is read from a hub, by the names that other code imports."""

from stepwell import Artifact
from stepwell.api import Api, File, Project, Run, Runs, Sweep

__all__ = ["Api", "Artifact", "File", "Project", "Run", "Runs", "Sweep"]
