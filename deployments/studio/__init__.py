"""Pixel work on the CPU: fitting photos to models and encoding results."""
