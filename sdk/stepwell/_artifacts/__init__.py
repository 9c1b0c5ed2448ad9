"""Artifacts: files that a run hands over under a name, and versions of them that are read back.

`artifact.py` has the one class. A draft's files are held by `holding.py`; versions that exist are
read by `reading.py`.
"""
