"""Callbacks: who may be told of background requests, and the telling."""
