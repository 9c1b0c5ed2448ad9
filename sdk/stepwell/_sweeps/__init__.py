"""Sweeps, the agents' half: create a sweep, ask for trials, run them, report how they ended."""
