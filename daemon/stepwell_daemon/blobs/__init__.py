"""Blobs: taking staged files, encoding and hashing them, and bringing them to the blob store.

staged file → queue (durable) → worker process → blob store or gateway → event in the spool
"""
