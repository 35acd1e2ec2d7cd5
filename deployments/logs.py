"""Sends this package's log lines where a replica's own go."""

from __future__ import annotations

import logging


def join_replica_log() -> None:
    """Let Serve's handlers, which it installs per replica, take our loggers' lines too."""
    serve_log = logging.getLogger("ray.serve")
    for name in ("deployments", "storage"):
        ours = logging.getLogger(name)
        ours.setLevel(serve_log.level)
        ours.parent = serve_log
