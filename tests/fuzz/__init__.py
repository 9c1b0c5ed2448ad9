"""Coverage-guided fuzzing of everything that reads bytes which the process does not control.

    python -m tests.fuzz TARGET [--runs N] [--frames N] [--seconds S] [--corpus FOLDER]
    python -m tests.fuzz all --frames 10000000

A target turns any bytes into what its part reads, lets the part read it, and raises for
disallowed results: an unexpected exception, or a broken invariant. Seeds come from the
real encoders. A finding ends the run with code 1 and is kept as a file; ``--replay FILE`` runs it
again. Each finding of the past is a test in ``test_findings.py``.
"""
