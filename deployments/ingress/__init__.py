"""The HTTP surface: untrusted requests in, errors and answers out."""
