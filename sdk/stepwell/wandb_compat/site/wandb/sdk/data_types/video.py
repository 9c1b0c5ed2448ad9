from stepwell._files import Video

__all__ = ["Video"]
