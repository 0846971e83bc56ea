"""Stored files checked again: each against its hash, a whole run, a whole workspace."""
