"""Room for images and rates of keys, counted in one place for all ingress replicas."""
