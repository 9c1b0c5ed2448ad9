"""The hub: the HTTP API and the page, over the store and a small catalog of its own."""

import os

# Must run before numpy is loaded. The matrices of the search by model have a hundred rows: more
# threads wait for each other, and on a busy machine a step of 60 ms takes seconds.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
