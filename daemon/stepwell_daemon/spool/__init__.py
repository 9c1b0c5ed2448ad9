"""The spool: the write-ahead log between the writers and the store."""
