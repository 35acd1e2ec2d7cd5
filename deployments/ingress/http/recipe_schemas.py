"""Wire models of what is told of how results were made."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from deployments.composition import FileFormat, Shadow
from deployments.ingress.http.answers import FidelityEntry
from deployments.ingress.http.schemas import EXAMPLE_URL


class RecipeFields(BaseModel):
    """The fields of a request that makes this image again; null stands for an absent one."""

    prompt: str | None = Field(examples=["Perfume backdrop"])
    negative_prompt: str | None
    model: str | None = Field(
        description="Null where no model painted.", examples=["stable-diffusion"]
    )
    num_images: int = Field(examples=[1])
    seed: int | None = Field(examples=[1234])
    steps: int | None = Field(examples=[20])
    guidance_scale: float | None = Field(examples=[5.0])
    strength: float | None = Field(examples=[0.95])
    lora: str | None = Field(examples=["watercolour:0.8"])
    preserve_product: Literal["auto", "false"] = Field(
        description="`false` where no product was kept."
    )
    background: str = Field(examples=["scene"])
    size: str | None
    aspect_ratio: str | None
    padding: float | None
    product_position: str | None
    shadow: Shadow | None
    shadow_strength: float | None
    harmonize: float | None
    output_format: FileFormat
    output_quality: int | None


class ControlEntry(BaseModel):
    """How a ControlNet took part."""

    scale: float = Field(description="Its weight.", examples=[0.5])
    start: float = Field(description="From which share of the steps on.", examples=[0.0])
    end: float = Field(description="Up to which share of the steps.", examples=[1.0])


class RecipeAnswer(BaseModel):
    """How an image was made."""

    url: str = Field(description="The image.", examples=[EXAMPLE_URL])
    created: str | None = Field(
        description="ISO 8601, UTC.", examples=["2026-11-29T03:00:00+00:00"]
    )
    version: str | None = Field(description="Of the service.", examples=["0.1.0"])
    made_from: Literal["upload", "result"] = Field(
        description="Whether it was made from a photo, or varies an image that was made here."
    )
    media_type: str = Field(
        description="`image/png`, `image/jpeg` or `image/webp`.", examples=["image/png"]
    )
    fidelity: FidelityEntry | None = Field(
        description="How true it is to the product; null where none was kept."
    )
    scheduler: str | None = Field(description="Null where no model painted.", examples=["unipc"])
    control: ControlEntry | None = Field(description="Null without a ControlNet.")
    style_image: bool = Field(
        description="Whether the model looked at a `style_image`, which is not kept: send it again."
    )
    fields: RecipeFields


class ResultsAnswer(BaseModel):
    """Answer of GET /api/results."""

    results: list[RecipeAnswer] = Field(
        description="Newest first. One that is deleted meanwhile is left out."
    )
    cursor: str | None = Field(
        description="What `cursor` of the next page is; null where there is none."
    )
