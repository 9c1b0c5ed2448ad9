from stepwell.util import generate_id

__all__ = ["generate_id"]
