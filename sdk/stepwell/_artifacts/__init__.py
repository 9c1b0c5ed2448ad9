"""Artifacts: named files that a run hands over, and versions of them that are read back.

`artifact.py` has the class. `holding.py` holds the files of a draft; `reading.py` reads existing
versions.
"""
