"""Measures a model's cost and quality: accuracy, calibration, complexity, latency, size."""
