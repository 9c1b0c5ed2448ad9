"""Artifacts: import of drafts from writers, and making versions of them.

draft beside a journal → shelf (durable) → worker process: hash, blob store, hub → outcome
"""
