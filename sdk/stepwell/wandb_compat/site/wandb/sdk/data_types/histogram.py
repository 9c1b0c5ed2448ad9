from stepwell._histogram import Histogram

__all__ = ["Histogram"]
