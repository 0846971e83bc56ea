"""Datasets that others publish: downloaded, checked, read and cached."""
