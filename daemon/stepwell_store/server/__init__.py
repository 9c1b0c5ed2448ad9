"""The store in ClickHouse servers: one, or a cluster of shards and replicas."""
