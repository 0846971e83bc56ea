"""A run for other tools: MLflow and TensorBoard, each in a process of its own that imports that tool alone."""
