from stepwell._image import Image

__all__ = ["Image"]
