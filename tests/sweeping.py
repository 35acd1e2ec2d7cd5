"""A whole sweep over a store, with a whole round of its patrol."""

from datetime import datetime, timedelta

from storage.retention import Ages, Place, Retention
from storage.store import ImageStore


def sweep(
    store: ImageStore,
    retention: timedelta | None,
    now: datetime,
    request_retention: timedelta | None = None,
) -> int:
    """Remove what is too old, and return how much that was."""
    retained = Retention(store, Ages(now, retention, request_retention), lambda: None)
    retained.expire()
    retained.patrol(Place(), None)
    return retained.removed
