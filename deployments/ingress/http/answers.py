"""Wire models of what the service says: answers, events and errors."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deployments.ingress.http.schemas import EXAMPLE_URL

EXAMPLE_SEED = 1234


class FidelityEntry(BaseModel):
    """How true an image is to the product that was kept."""

    pixels: float = Field(
        description="Share of the product's pixels that are the photo's own, 0 to 1.",
        examples=[1.0],
    )
    shape: float = Field(
        description="The product's area as a share of its area with what the scene adds to it, 0 "
        "to 1: it falls where the scene grows onto the product.",
        examples=[0.97],
    )


class DetailEntry(BaseModel):
    """What an image's file is like."""

    width: int = Field(description="In pixels.", examples=[600])
    height: int = Field(description="In pixels.", examples=[400])
    media_type: str = Field(
        description="`image/png`, `image/jpeg` or `image/webp`.", examples=["image/png"]
    )


class WithheldEntry(BaseModel):
    """An image that was made and is not delivered; also the event `withheld`."""

    index: int = Field(description="Its place among the images that were asked for.")
    reason: str = Field(
        description="Why.", examples=["the safety filter takes it for not safe for work"]
    )


class ImagesAnswer(BaseModel):
    """Answer of both POST endpoints."""

    images: list[str] = Field(description="URLs of the images.", examples=[[EXAMPLE_URL]])
    model_used: str = Field(examples=["stable-diffusion"])
    prompt_used: str = Field(examples=["Perfume backdrop"])
    seeds: list[int | None] = Field(
        description="The seed of each image; null where no model painted it.",
        examples=[[EXAMPLE_SEED]],
    )
    fidelity: list[FidelityEntry | None] = Field(
        description="For each image how true it is to the product; null where none was kept."
    )
    details: list[DetailEntry] = Field(description="For each image what its file is like.")
    warnings: list[str] = Field(
        description="Sentences about what could not be honoured; usually none. Of a model with the "
        "demo weights also which words of the prompt it has never seen.",
        examples=[[]],
    )
    withheld: list[WithheldEntry] = Field(
        description="Images that are not among the others: the safety filter, where a model has "
        "it on, withheld them.",
        examples=[[]],
    )


class ErrorAnswer(BaseModel):
    """Body of every failure."""

    error: str = Field(description="One sentence.", examples=["num_images must be at most 8"])
    code: str = Field(description="For programs.", examples=["invalid_request"])
    request_id: str = Field(description="Find it in the logs.", examples=["0f8fad5bd9cb469f"])


class WaitingEvent(BaseModel):
    """Where a request stands in the line."""

    place: int = Field(description="From 1 on; those that are worked on are counted.")
    expected_seconds: float | None = Field(
        description="Seconds until it is done, at the speed so far; null where that is not known."
    )


class ProgressEvent(BaseModel):
    """`progress`: an image advanced by a step."""

    index: int
    step: int
    steps: int


class ImageEvent(BaseModel):
    """`image`: an image is done and can be fetched."""

    index: int
    url: str
    seed: int | None
    fidelity: FidelityEntry | None
    width: int
    height: int
    media_type: str
