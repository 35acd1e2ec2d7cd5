"""The headers that tell what is left of an API key's rates.

As of draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from deployments.admission_messages import RateLeft

LIMITS, LEFT = "RateLimit-Policy", "RateLimit"
WINDOW_S = 60


def rate_headers(rates: Sequence[RateLeft]) -> dict[str, str]:
    """Both headers' values; none where there are no rates.

    Args:
        rates: What is left of each.
    """
    if not rates:
        return {}
    return {
        LIMITS: ", ".join(f'"{rate.name}";q={rate.limit};w={WINDOW_S}' for rate in rates),
        LEFT: ", ".join(
            f'"{rate.name}";r={rate.left};t={math.ceil(rate.more_s)}' for rate in rates
        ),
    }
