"""Migrations of the catalog, one file each, in order of their numbers."""
