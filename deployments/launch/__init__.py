"""`make run` and the `backdrop` command: start the service, watch it, and end all of it.

`serve run` runs as a child with a Ray of its own. Nothing here makes images: the launcher knows the
service by its configuration, by what Serve reports of it, and over HTTP.
"""

from __future__ import annotations

from deployments.launch.command import main
from deployments.launch.processes import serve_run

__all__ = ["main", "serve_run"]
