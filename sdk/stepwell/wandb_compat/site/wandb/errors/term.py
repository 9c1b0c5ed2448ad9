"""Lines on the terminal."""

from stepwell._accounts import termerror, termlog, termsetup, termwarn

__all__ = ["termerror", "termlog", "termsetup", "termwarn"]
