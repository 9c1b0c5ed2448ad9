from stepwell._media import BoundingBoxes2D

__all__ = ["BoundingBoxes2D"]
