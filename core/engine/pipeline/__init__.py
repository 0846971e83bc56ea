"""A run: dry run, steps with their cache, measurement, progress."""
