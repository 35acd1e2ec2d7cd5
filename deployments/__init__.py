"""The Ray Serve application: composition, ingress, model replicas and studio."""
