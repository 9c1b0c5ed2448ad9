from stepwell._media import Classes

__all__ = ["Classes"]
