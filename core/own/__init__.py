"""A person's own datasets, networks, uploads and drafts."""
