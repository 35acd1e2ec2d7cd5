"""The chat page in a real Chromium, against a real service. A package, so that it ends it."""
