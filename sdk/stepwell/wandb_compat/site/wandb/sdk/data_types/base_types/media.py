from stepwell._media import Media

__all__ = ["Media"]
