"""A class on one dashboard: the tokens of its address, learners and their corners, limits, and what they hand in."""
