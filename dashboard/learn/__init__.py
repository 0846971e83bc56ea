"""The page Learn: the list of lessons, a lesson from its prediction to its check, the presenter's view."""
