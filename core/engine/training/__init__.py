"""The one training loop and its parts: batches, schedule, mixup, averaged weights, rate finder, checkpoints."""
