"""Measurements of speed. Not tests: nothing here asserts a time."""
