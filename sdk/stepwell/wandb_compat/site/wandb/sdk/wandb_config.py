from stepwell import Config

__all__ = ["Config"]
