from stepwell._identity import new_run_id

__all__ = ["generate_id"]


def generate_id(length: int = 8) -> str:
    """Return ``length`` digits and small letters at random."""
    text = ""
    while len(text) < length:
        text += new_run_id()
    return text[:length]
