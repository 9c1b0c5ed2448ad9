"""Blobs: importing staged files, encoding and hashing them, and storing them in the blob store.

staged file → queue (durable) → worker process → blob store or gateway → event in the spool
"""
