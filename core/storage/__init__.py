"""Stored files: sealed by a hash, checked again, repaired or refused; full disks; the limit of the caches."""
