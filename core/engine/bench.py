"""The workbench a method works at: the data, the device, the seed, and the one way to report progress."""
