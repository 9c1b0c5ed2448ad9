from stepwell._media import Image

__all__ = ["Image"]
