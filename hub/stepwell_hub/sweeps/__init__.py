"""Sweeps: a search over configs. Pure files decide; `service` and `watch` act."""
