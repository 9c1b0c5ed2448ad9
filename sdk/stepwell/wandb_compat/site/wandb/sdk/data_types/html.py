from stepwell._files import Html

__all__ = ["Html"]
