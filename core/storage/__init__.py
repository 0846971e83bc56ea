"""How files are stored: sealed by a hash, read back within limits, restored from a log; full disks."""
