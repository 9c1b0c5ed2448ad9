"""Gateways: a daemon that relays to another daemon instead of its own store.

    node     forwarder → sink → connection ── Relay ──→ listener → relay → spool     gateway

proto/stepwell_wire/ingest.proto defines the messages. docs/decisions/0006-relay.md explains why
they are safe to repeat.
"""
