"""The OpenAI façade: the same orders as under /api/, in the form of OpenAI's images API."""
