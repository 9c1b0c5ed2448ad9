from stepwell import Api

__all__ = ["Api"]
