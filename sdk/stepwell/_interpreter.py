"""Whether the interpreter ends: a leaf that the writer and the session share."""

is_over = False
"""The runs of the process are ended, after the last line of the script."""
