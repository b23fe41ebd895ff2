"""A run's numbers for those who watch them: TensorBoard, MLflow, Weights & Biases."""
