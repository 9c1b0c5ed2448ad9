from stepwell._media import Histogram

__all__ = ["Histogram"]
