from stepwell._media import Media as WBValue

__all__ = ["WBValue"]
