"""Wire models of GET /api/models and GET /api/ready: what a frontend needs before it asks."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deployments.composition import FileFormat
from deployments.ingress.http.answers import ErrorAnswer


class DefaultsEntry(BaseModel):
    """What a model takes for fields that a request leaves out."""

    steps: int = Field(examples=[20])
    guidance_scale: float = Field(examples=[5.0])
    strength: float = Field(examples=[0.95])


class ModelLimitsEntry(BaseModel):
    """The most that a request may ask of a model."""

    steps: int = Field(examples=[100])
    guidance_scale: float = Field(examples=[30.0])
    strength: float = Field(examples=[1.0])


class SizesEntry(BaseModel):
    """Sides of pictures, in pixels."""

    working: int = Field(
        description="The model paints about this times this many pixels, in the picture's aspect; "
        "they are made larger for the result.",
        examples=[256],
    )
    min_side: int = Field(description="The shortest side that `size` may have.", examples=[64])
    max_side: int = Field(description="The longest side of a result.", examples=[1536])


class CapabilitiesEntry(BaseModel):
    """What a model can do."""

    edit: bool = Field(description="Changes the photo as the prompt tells it to.")
    inpaint: bool = Field(description="Paints around a product that is kept.")
    style_image: bool = Field(description="Looks at a `style_image` beside the photo.")
    control: bool = Field(description="Follows the photo's outlines with a ControlNet.")
    negative_prompt: bool = Field(description="Takes `negative_prompt`.")
    loras: bool = Field(description="Has LoRAs in its weights.")
    lora: bool = Field(description="Takes `lora`: has LoRAs beside its weights, see `loras`.")


class ModelEntry(BaseModel):
    """One entry of the catalog."""

    id: str = Field(description="What requests name.", examples=["stable-diffusion"])
    name: str = Field(description="What a person reads.", examples=["Stable Diffusion"])
    family: str = Field(description="The kind of its networks.", examples=["sd"])
    demo: bool = Field(description="It has the small weights that are bundled.")
    available: bool = Field(
        description="A replica is up. Without one a request waits for it, and fails where none "
        "comes."
    )
    defaults: DefaultsEntry
    limits: ModelLimitsEntry
    sizes: SizesEntry
    capabilities: CapabilitiesEntry
    loras: list[str] = Field(
        description="The names that `lora` may have.", examples=[["watercolour"]]
    )
    starter_prompts: list[str] = Field(
        description="Prompts to suggest: what it draws well.", examples=[["Perfume backdrop"]]
    )


class PresetEntry(BaseModel):
    """A named set of fields."""

    name: str = Field(description="What `preset` names.", examples=["marketplace-white"])
    fields: dict[str, str | float | bool] = Field(
        description="What it fills in where a request leaves it out.",
        examples=[{"background": "#FFFFFF", "size": "1000x1000"}],
    )


class LimitsEntry(BaseModel):
    """What the service takes, whatever the model is."""

    max_images: int = Field(description="Of one request.", examples=[8])
    max_prompt_chars: int = Field(description="Of each prompt.", examples=[2000])
    max_body_bytes: int = Field(description="Of a request.", examples=[33_554_432])
    max_json_bytes: int = Field(description="Of a request in JSON.", examples=[1_048_576])
    max_pixels: int = Field(description="Width times height of a photo.", examples=[67_108_864])
    max_side: int = Field(description="The longer side of a photo.", examples=[16_384])
    max_aspect: float = Field(
        description="The longer side divided by the shorter one, of photos and results.",
        examples=[8.0],
    )
    deadline_s: float = Field(description="Seconds that a request may take.", examples=[300.0])
    retention_s: float | None = Field(
        description="Seconds that a result is kept; null is for ever.", examples=[604_800.0]
    )
    requests_per_minute: int | None = Field(
        description="POST requests of one API key in any 60 seconds; null is no limit.",
        examples=[60],
    )
    images_per_minute: int | None = Field(
        description="Images of one API key in any 60 seconds; null is no limit.", examples=[240]
    )


class FormatsEntry(BaseModel):
    """File formats."""

    uploads: list[str] = Field(
        description="Media types of the files that are taken.",
        examples=[["image/png", "image/jpeg", "image/webp"]],
    )
    outputs: list[FileFormat] = Field(description="What `output_format` may be.")
    copy_widths: list[int] = Field(
        description="What `width` of a smaller copy may be, in pixels.", examples=[[128, 256]]
    )


class ModelsAnswer(BaseModel):
    """Answer of GET /api/models."""

    models: list[ModelEntry] = Field(description="The first is the default one.")
    presets: list[PresetEntry]
    limits: LimitsEntry
    formats: FormatsEntry


class ReadyAnswer(BaseModel):
    """Answer of GET /api/ready where requests can be served."""

    ready: bool = Field(description="Always true here.", examples=[True])


class NotReadyAnswer(ErrorAnswer):
    """Answer of GET /api/ready where they cannot."""

    ready: bool = Field(description="Always false here.", examples=[False])
    missing: list[str] = Field(
        description="Names of the deployments that have no replica.",
        examples=[["stable-diffusion"]],
    )
