"""The training loop and its parts: batches, schedule, mixup, weight averaging, learning-rate finder, checkpoints."""
