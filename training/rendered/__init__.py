"""Weights that learn from rendered pictures; so far the autoencoder."""
