from stepwell import Artifact

__all__ = ["Artifact"]
