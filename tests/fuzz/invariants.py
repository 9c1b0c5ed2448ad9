"""Findings that are no exception of the code under test."""


class BrokenInvariantError(AssertionError):
    """Something that must hold did not."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise BrokenInvariantError(what)
