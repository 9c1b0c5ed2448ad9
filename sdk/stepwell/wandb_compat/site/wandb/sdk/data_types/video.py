from stepwell._media import Video

__all__ = ["Video"]
