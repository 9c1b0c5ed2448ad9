"""The hub: the HTTP API and the page, over the store and a small catalog of its own."""
