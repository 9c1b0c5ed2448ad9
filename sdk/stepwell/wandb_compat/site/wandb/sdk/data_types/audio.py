from stepwell._files import Audio

__all__ = ["Audio"]
