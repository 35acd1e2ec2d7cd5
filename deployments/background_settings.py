"""Settings of background requests."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class BackgroundSettings(BaseModel):
    """How many background requests there may be, and how they are worked on.

    Attributes:
        at_once: How many one ingress replica works on at the same time.
        max_per_key: Unfinished ones of one API key, at most; more get 429.
        max_in_all: Unfinished ones of all keys, at most; more get 429.
        longest_s: Seconds after which one that is not finished fails.
        poll_s: Seconds between two looks at what waits, and what waits for whoever died.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_once: int = Field(4, ge=1, le=64)
    max_per_key: int = Field(500, ge=1, le=100_000)
    max_in_all: int = Field(2000, ge=1, le=100_000)
    longest_s: float = Field(86_400.0, gt=0, le=604_800)
    poll_s: float = Field(1.0, ge=0.05, le=60)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_in_all < self.max_per_key:
            raise ValueError(
                f"max_in_all {self.max_in_all} is under max_per_key {self.max_per_key}"
            )
        return self
