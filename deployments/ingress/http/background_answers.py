"""Wire models of background requests, which the API calls jobs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from deployments.ingress.http.answers import ImageEvent, ImagesAnswer

EXAMPLE_JOB = "fe650ab3b2f00123456789abcdef0123"


class JobFailure(BaseModel):
    """Why a job failed: what its request would have been answered."""

    status: int = Field(description="The HTTP status.", examples=[400])
    error: str = Field(description="One sentence.", examples=["no product was found"])
    code: str = Field(description="For programs.", examples=["product_not_found"])


class JobAnswer(BaseModel):
    """A job as it is now."""

    id: str = Field(description="What its URL names.", examples=[EXAMPLE_JOB])
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    created: str = Field(description="ISO 8601, UTC.", examples=["2026-11-29T03:00:00Z"])
    ended: str | None = Field(description="When it was done, failed or cancelled; else null.")
    model: str | None = Field(description="As it was asked for.")
    prompt: str
    num_images: int = Field(description="How many images were asked for.")
    place: int | None = Field(
        description="Its place in the line while it waits, from 1 on; those that are worked on "
        "are counted."
    )
    expected_seconds: float | None = Field(
        description="Seconds until it is done, at the speed so far; null where that is not known."
    )
    progress: float = Field(description="How much of it is done, 0 to 1.", ge=0, le=1)
    images: list[ImageEvent] = Field(description="The images so far, in the order of their ends.")
    answer: ImagesAnswer | None = Field(
        description="What the request would have been answered; null until it is done."
    )
    failure: JobFailure | None = Field(description="Why it failed; else null.")


class JobsAnswer(BaseModel):
    """Answer of GET /api/jobs."""

    jobs: list[JobAnswer] = Field(description="Newest first.")
    cursor: str | None = Field(
        description="What `cursor` of the next page is; null where there is none."
    )
