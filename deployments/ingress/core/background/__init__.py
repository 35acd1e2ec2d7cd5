"""Requests that are answered later: stored, worked on in turn, and taken over."""
