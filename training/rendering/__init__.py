"""Training pictures by path tracing: scenes are described, rendered, and coloured afterwards.

Scenes are described by plain Python and NumPy; only engine.py imports Mitsuba.
"""
