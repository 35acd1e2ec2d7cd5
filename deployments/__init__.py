"""The Ray Serve application: its composition, ingress, admission, model replicas and studio."""
