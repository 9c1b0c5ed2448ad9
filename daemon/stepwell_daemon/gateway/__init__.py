"""Gateways: a daemon that hands on to another daemon instead of to a store of its own.

    node     forwarder → sink → connection ── Relay ──→ listener → relay → spool     gateway

What crosses the network is drawn in proto/stepwell_wire/ingest.proto; why it is safe to repeat
stands in docs/decisions/0006-relay.md.
"""
