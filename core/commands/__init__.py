"""The commands of `condenser`, a file a subject; `core.cli` runs them."""
