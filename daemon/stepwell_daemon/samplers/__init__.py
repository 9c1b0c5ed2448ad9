"""Samplers: they read the node's devices on a schedule."""
