"""What runs the networks: torch, its compiler, or OpenVINO."""
