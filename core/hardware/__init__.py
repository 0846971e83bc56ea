"""This machine: what it has, how busy it is, and who measures alone on it."""
