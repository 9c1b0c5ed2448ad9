from stepwell._media import ImageMask

__all__ = ["ImageMask"]
