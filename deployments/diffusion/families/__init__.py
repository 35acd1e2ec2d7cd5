"""What differs between the model families: inputs, schedulers, control maps, and the steps."""
