"""On which terms a caller is served."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.ingress.core.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a caller is served.

    Attributes:
        api_key_name: Name of the API key, empty without one.
        deadline: When the request is given up.
        progress: Whether the generation reports denoising steps.
        idempotency_key: As the caller sent it; None without one.
    """

    api_key_name: str
    deadline: Deadline
    progress: bool
    idempotency_key: str | None = None
