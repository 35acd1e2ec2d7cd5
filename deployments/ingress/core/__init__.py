"""The use cases and what they need, without HTTP and without Ray."""
