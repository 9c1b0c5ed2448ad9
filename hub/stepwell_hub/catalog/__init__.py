"""The hub's small consistent database: run colours, saved views, used login codes."""
