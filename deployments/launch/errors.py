"""Why the launcher gives up."""

from __future__ import annotations


class LaunchError(Exception):
    """The service cannot be started, or has ended; the message is one sentence for the terminal."""
