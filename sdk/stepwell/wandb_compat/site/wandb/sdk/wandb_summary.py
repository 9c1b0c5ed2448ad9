from stepwell import Summary

__all__ = ["Summary"]
