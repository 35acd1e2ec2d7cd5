"""How much an API key may ask for: the service's own rates, and those of a key of the file."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field


class RateSettings(BaseModel):
    """How much one API key may ask for; without API keys all callers count as one.

    Attributes:
        requests_per_minute: POST requests in any 60 seconds; None is no limit.
        images_per_minute: Images in any 60 seconds; None is no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    images_per_minute: int | None = Field(None, ge=1, le=1_000_000)

    def check(self, max_images: int) -> None:
        """See that the largest requests can be served at all.

        Args:
            max_images: The most images of one request.

        Raises:
            ValueError: They never could.
        """
        images = self.images_per_minute
        if images is not None and images < max_images:
            raise ValueError(
                f"images_per_minute {images} is under max_images {max_images}: "
                "the largest requests would always be refused"
            )


RatesOf = Callable[[str], RateSettings]
"""Tells the rates of an API key by its name, which is empty for callers without one."""
