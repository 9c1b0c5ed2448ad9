from stepwell import Settings

__all__ = ["Settings"]
