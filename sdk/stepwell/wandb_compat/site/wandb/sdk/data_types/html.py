from stepwell._media import Html

__all__ = ["Html"]
