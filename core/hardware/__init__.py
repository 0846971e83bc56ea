"""This machine: what it has and lacks, how busy it is, and who measures alone on it."""
