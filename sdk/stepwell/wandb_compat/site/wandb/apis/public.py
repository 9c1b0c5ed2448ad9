"""Classes that other code names in annotations and `isinstance`; no call returns one yet."""

from stepwell import Api, Artifact

__all__ = ["Api", "Artifact", "File", "Project", "Run", "Runs", "Sweep"]


class Run:
    """A run that is read."""


class Runs:
    """A list of runs that are read."""


class Project:
    """A project that is read."""


class Sweep:
    """A sweep that is read."""


class File:
    """A file of a run."""
