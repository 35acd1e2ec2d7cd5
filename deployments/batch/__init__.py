"""`backdrop batch`: images of many photos over the HTTP API, in a run that may be cut off.

Each photo is a job with an idempotency key of its own, which is made of what is asked for, and a
journal beside the results says how far each is. So the same command, started again, goes on.
"""

from __future__ import annotations

from deployments.batch.command import add_options, run

__all__ = ["add_options", "run"]
