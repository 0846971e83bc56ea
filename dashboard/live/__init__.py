"""The Live page's own rooms: what can be done to a run, and its details."""
