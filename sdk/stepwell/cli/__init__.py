"""The command line: one module for each command, imported only when the command is given.

This is a composition root: it may use every other part, and nothing imports it.
"""
