"""Wire models of the façade's answers: OpenAI's, with what this service can tell besides."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from deployments.ingress.http.answers import FidelityEntry, WithheldEntry
from deployments.ingress.http.schemas import EXAMPLE_URL

Background = Literal["opaque", "transparent"]


class _Sparse(BaseModel):
    """A model whose fields are left out of the JSON where they have no value."""

    def sparse(self) -> dict[str, Any]:
        """Its JSON."""
        return self.model_dump(exclude_none=True)


class ModelObject(BaseModel):
    """A model."""

    id: str = Field(description="What requests name.", examples=["stable-diffusion"])
    object: Literal["model"] = "model"
    created: int = Field(0, description="0: when weights were made is not known.")
    owned_by: str = "backdrop"
    name: str = Field(description="What a person reads.", examples=["Stable Diffusion"])


class ModelList(BaseModel):
    """Answer of GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelObject]


class ImageObject(_Sparse):
    """An image: its content or its URL."""

    b64_json: str | None = Field(None, description="The file in base64.")
    url: str | None = Field(None, examples=[EXAMPLE_URL])
    seed: int | None = Field(None, description="Absent where no model painted it.")
    fidelity: FidelityEntry | None = Field(
        None, description="How true it is to the product; absent where none was kept."
    )


class ImagesResponse(_Sparse):
    """Answer of the routes that make images."""

    created: int = Field(description="When it was answered, in seconds since 1970.")
    data: list[ImageObject]
    background: Background
    output_format: str = Field(description="`png`, `jpeg` or `webp`.", examples=["png"])
    quality: str | None = Field(
        None, description="`low`, `medium` or `high`; absent where the request chose the steps."
    )
    size: str = Field(examples=["600x400"])
    warnings: list[str] = Field(description="Sentences about what could not be honoured.")
    withheld: list[WithheldEntry] = Field(
        description="Images that the safety filter withheld: they are not in `data`."
    )


class CompletedEvent(ImageObject):
    """`image_edit.completed`: an image is done."""

    type: Literal["image_edit.completed"] = "image_edit.completed"
    created_at: int = Field(description="In seconds since 1970.")
    background: Background
    output_format: str
    quality: str | None = None
    size: str
    index: int = Field(description="Its place among the images that were asked for.")


class FailureEntry(BaseModel):
    """What went wrong."""

    message: str = Field(description="One sentence.", examples=["n must be at most 8"])
    type: str = Field(
        description="`invalid_request_error`, `rate_limit_error` or `server_error`.",
        examples=["invalid_request_error"],
    )
    param: str | None = Field(description="The field it is about.", examples=["n"])
    code: str = Field(description="As elsewhere.", examples=["invalid_request"])
    request_id: str = Field(description="Find it in the logs.", examples=["0f8fad5bd9cb469f"])


class FailureAnswer(BaseModel):
    """Body of every failure under /v1."""

    error: FailureEntry
