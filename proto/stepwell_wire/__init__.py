"""The contract between stepwell's processes: messages, records, limits, places."""

__version__ = "0.1.0"
