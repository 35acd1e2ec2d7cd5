"""What a refusal is called whose cause another machine may not have."""

from __future__ import annotations


class MissingHere(Exception):
    """A file, a package or a secret is missing on this machine; what names it may be right.

    `backdrop check` tells it without calling the configuration wrong.
    """
