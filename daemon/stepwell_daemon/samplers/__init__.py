"""Samplers: what reads the node's devices on a schedule."""
