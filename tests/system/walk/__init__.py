"""A random walk over what people do with runs; after each few steps all that is stored is compared.

    python -m tests.system.walk --seeds 100 --first 1

`model.py` says what must be stored, `moves.py` does something at random and tells the model,
`trainer.py` is a training process that does what it is asked, `reading.py` reads the store by the
command line and by the hub's API, `compare.py` compares.
"""
