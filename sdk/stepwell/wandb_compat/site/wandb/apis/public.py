"""What is read from a hub, by the names that other code imports."""

from stepwell import Artifact
from stepwell.api import Api, File, Project, Run, Runs

__all__ = ["Api", "Artifact", "File", "Project", "Run", "Runs", "Sweep"]


class Sweep:
    """A sweep that is read."""
