"""The ports of the use cases over Serve handles."""
