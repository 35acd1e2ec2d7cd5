"""Places for images and rates of API keys, counted in one place for all ingress replicas."""
