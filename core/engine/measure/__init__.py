"""What a model costs and how good it is: accuracy, calibration, complexity, latency, size."""
