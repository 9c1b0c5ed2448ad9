from stepwell._media import Audio

__all__ = ["Audio"]
