"""The parts of the page Backbones."""
