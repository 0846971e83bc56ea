"""Import of images and texts: read, decoded in a child process, split, and stored as a dataset."""
