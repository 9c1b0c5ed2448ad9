"""Artifacts, as far as they can be named."""

from enum import Enum

from stepwell import Artifact

__all__ = ["Artifact", "ArtifactTTL"]


class ArtifactTTL(Enum):
    """How long an artifact is kept."""

    INHERIT = 0
