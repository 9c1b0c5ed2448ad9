from stepwell._media import Graph

__all__ = ["Graph"]
