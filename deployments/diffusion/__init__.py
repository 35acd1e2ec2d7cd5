"""Diffusion on one replica: weights, the model that runs them, and the step-batching engine."""
