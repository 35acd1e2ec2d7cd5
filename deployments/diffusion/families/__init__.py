"""What differs between the model families."""
