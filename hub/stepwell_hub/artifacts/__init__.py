"""Artifacts in the hub: the answers, and the blobs that versions need."""
