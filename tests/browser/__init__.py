"""The chat page in a real Chromium, against a real service, and its client against a faulty one.

A package, so that what its fixtures start is gone when its last test has run.
"""
