"""A person's own datasets and networks."""
