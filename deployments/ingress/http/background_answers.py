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


class CallbackAnswer(BaseModel):
    """How far a job's callbacks are."""

    host: str = Field(
        description="Host and port of the `callback_url`; the URL itself is shown to nobody.",
        examples=["hooks.shop.example"],
    )
    state: Literal["active", "done", "gone"] = Field(
        description="`active` until the job has ended and all of its events are delivered or given "
        "up, `gone` where the receiver wants no more."
    )
    delivered: int = Field(description="Events that were delivered.")
    waiting: int = Field(description="Events that have happened and are to be delivered.")
    failed: int = Field(description="Events that were given up.")
    next_try: str | None = Field(
        description="When the next one is made, after one that failed: ISO 8601, UTC; else null."
    )
    last_failure: str | None = Field(
        description="How the last try ended, where it failed; else null.",
        examples=["the receiver answered 500"],
    )


class JobState(BaseModel):
    """A job as it is, or was."""

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


class JobAnswer(JobState):
    """A job as it is now."""

    callback: CallbackAnswer | None = Field(
        description="How far its callbacks are; null without a `callback_url`."
    )


CallbackType = Literal["job.image", "job.done", "job.failed", "job.cancelled"]


class CallbackBody(BaseModel):
    """What is sent to a `callback_url`."""

    type: CallbackType = Field(description="What has happened to the job.")
    timestamp: str = Field(
        description="When it has: ISO 8601, UTC.", examples=["2026-11-29T03:00:12Z"]
    )
    data: JobState = Field(description="The job as it was then.")


class JobsAnswer(BaseModel):
    """Answer of GET /api/jobs."""

    jobs: list[JobAnswer] = Field(description="Newest first.")
    cursor: str | None = Field(
        description="What `cursor` of the next page is; null where there is none."
    )
