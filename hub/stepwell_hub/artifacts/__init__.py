"""Artifacts in the hub: what is answered, and the blobs that versions need."""
