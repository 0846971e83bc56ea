"""A run, read top to bottom: dry run, steps with their cache, measurement, progress."""
