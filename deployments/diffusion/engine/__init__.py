"""Step batching: which jobs share the next forward, and the threads that run it."""
