"""Wire models of the HTTP contract: requests, answers, events and errors.

These are not the domain types: `ingress.http.api` converts them once. `request_models` puts the
bounds of the configuration into the request models, so that OpenAPI shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import File, UploadFile
from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from deployments.composition import SCENE
from deployments.errors import InvalidRequest
from deployments.ingress.core.keys import KEY_PATTERN
from deployments.ingress.core.orders import SEEDS, Order
from deployments.ingress.http.forms import without_nulls
from deployments.ingress.http.look_fields import LookFields
from deployments.ingress.http.lora_field import LoraField
from deployments.jobs import Preserve
from deployments.presets import PresetFields
from deployments.settings import IngressSettings, ModelSettings

EXAMPLE_URL = "https://yourdomain.com/generated/0123456789abcdef0123456789abcdef.png"

IMAGE_FORMATS = "PNG, JPEG or WebP"

MOST_GUIDANCE = 30.0

LEFT_OPEN = frozenset({"preset", "cutout", "image_url", "point", "callback_url", "lora"})
"""Fields of forms whose example is an empty text: what they name has to exist, or to fit."""

Prompt = Annotated[str, StringConstraints(pattern=r"\S")]
"""At least one character that is not white space."""


CutOutId = Annotated[str, StringConstraints(pattern=f"^{KEY_PATTERN}$")]
"""What `cutout` names in answers and requests."""

EXAMPLE_ID = "0123456789abcdef0123456789abcdef"
KEPT_CUTOUT = "The id of a cut-out by POST /api/cutout: what is kept, without a search"


class ImageOptions(LookFields, LoraField):
    """The fields both POST endpoints share."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt | None = Field(
        None,
        validate_default=True,
        description="What the images shall show; required for the background `scene`.",
        examples=["Perfume backdrop"],
    )
    model: str | None = Field(
        None,
        validate_default=True,
        description="A model's id, as listed by GET /api/models; required for the background "
        "`scene`.",
    )
    num_images: int = Field(
        4, ge=1, description="How many variations to make; where no model paints there is one."
    )
    negative_prompt: str = Field(
        "",
        description="What the images shall not show. Distilled models refuse it: see "
        "`capabilities` of GET /api/models.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=SEEDS,
        examples=[1234],
        description="Seed of the first image; the others take the next ones. Random if absent.",
    )
    steps: int | None = Field(
        None, ge=1, description="Scheduler steps of a full run; the model's default if absent."
    )
    guidance_scale: float | None = Field(
        None,
        ge=0,
        le=MOST_GUIDANCE,
        description="How strongly the prompt counts; 1 or less is no guidance, and all that "
        "distilled models take. The model's default if absent.",
    )
    strength: float | None = Field(
        None,
        gt=0,
        le=1,
        description="How far to go from the photo: 1 keeps nothing of it. An editing model takes "
        "no less where no product is kept. The model's default if absent.",
    )

    preserve_product: Preserve = Field(
        "auto",
        description="Whether the product's own pixels are kept and everything else is made anew: "
        "`auto` keeps it where one is found, `true` fails without one, `false` lets the whole "
        "picture be redrawn.",
    )

    @field_validator("prompt", "model")
    @classmethod
    def _a_scene_needs_them(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("background") == SCENE:
            raise PydanticCustomError("missing", "required")
        return value

    def order(self, *, pictured: bool) -> Order:
        """The same as the use cases take it.

        Args:
            pictured: Whether a background_image was sent.

        Raises:
            InvalidRequest: Fields contradict each other.
        """
        look = self.look(pictured=pictured)
        lora, scale = self.named_lora()
        images = self.num_images if look.painted or "num_images" in self.model_fields_set else 1
        if not look.painted and images > 1:
            raise InvalidRequest(
                f"num_images: background={look.background} gives one image, which no seed changes"
            )
        return Order(
            model=self.model,
            prompt=self.prompt or "",
            num_images=images,
            negative_prompt=self.negative_prompt,
            seed=self.seed,
            steps=self.steps,
            guidance_scale=self.guidance_scale,
            strength=self.strength,
            preserve=self.preserve_product,
            canvas=self.canvas(),
            look=look,
            lora=lora,
            lora_scale=scale,
        )


BackgroundImage = Annotated[
    UploadFile | None,
    File(
        description=f"What is behind the product: {IMAGE_FORMATS}; it covers the picture, "
        "centred. With background=image, and only then."
    ),
]


StyleImage = Annotated[
    UploadFile | None,
    File(
        description=f"What the model looks at beside the photo, for a style, a scene or a thing "
        f"that the prompt names: {IMAGE_FORMATS}. Only for models with the capability style_image."
    ),
]


CallbackUrl = Annotated[
    str | None,
    Field(
        description="With `Prefer: respond-async`, and only then: who is told of the job's images "
        "and of its end. An https URL at a host that the operator allows.",
        examples=["https://hooks.shop.example/backdrop"],
    ),
]


class GenerateForm(ImageOptions):
    """Body of POST /api/generate."""

    # Of the photo, which is required without a cut-out.
    model_config = ConfigDict(extra="forbid", validate_default=True)

    cutout: CutOutId | None = Field(None, description=f"{KEPT_CUTOUT}, of `image`.")
    image: Annotated[
        UploadFile | None,
        File(
            description=f"The product photo: {IMAGE_FORMATS}. With a `cutout` it may be left out; "
            "else it is required."
        ),
    ] = None
    product_mask: Annotated[
        UploadFile | None,
        File(
            description=f"Marks the product in white on black: {IMAGE_FORMATS}, grey, of the "
            "photo's size after its EXIF orientation. Found by the service if absent."
        ),
    ] = None

    background_image: BackgroundImage = None
    style_image: StyleImage = None

    callback_url: CallbackUrl = None

    @field_validator("image")
    @classmethod
    def _there_is_a_photo(cls, image: UploadFile | None, info: ValidationInfo) -> UploadFile | None:
        if image is None and info.data.get("cutout", "") is None:
            raise PydanticCustomError("missing", "required")
        return image


def _or_boolean(schema: dict[str, Any]) -> None:
    """A mixed enum would be no type in most languages."""
    schema["anyOf"] = [
        {"type": schema.pop("type"), "enum": schema.pop("enum")}, {"type": "boolean"},
    ]  # fmt: skip


class VariationOptions(ImageOptions):
    """The fields of both kinds of body of POST /api/variation."""

    image_url: str = Field(
        description="The URL of an image made here, from the images of an answer.",
        examples=[EXAMPLE_URL],
    )
    cutout: CutOutId | None = Field(
        None,
        description=f"{KEPT_CUTOUT}; cut out of the photo that the conversation began with.",
    )
    callback_url: CallbackUrl = None


class VariationForm(VariationOptions):
    """Body of POST /api/variation as a form."""

    background_image: BackgroundImage = None
    style_image: StyleImage = None


class VariationBody(VariationOptions):
    """Body of POST /api/variation as JSON."""

    # JSON has types of its own: "4" is not a number there.
    model_config = ConfigDict(extra="forbid", strict=True)

    preserve_product: Preserve = Field(
        "auto",
        description=ImageOptions.model_fields["preserve_product"].description,
        json_schema_extra=_or_boolean,
    )

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        return without_nulls(data)

    @field_validator("preserve_product", mode="before")
    @classmethod
    def _booleans_are_their_names(cls, value: object) -> object:
        """JSON has a true and a false of its own."""
        return str(value).lower() if isinstance(value, bool) else value

    @field_validator("num_images", "seed", "steps", mode="before")
    @classmethod
    def _whole_numbers_are_integers(cls, value: object) -> object:
        """JSON has one type of number, in which 4.0 is 4; the schema's `integer` takes both."""
        return int(value) if isinstance(value, float) and value.is_integer() else value


class RequestModels(NamedTuple):
    """The request models with the configuration's bounds."""

    generate: type[GenerateForm]
    variation: type[VariationBody]
    variation_form: type[VariationForm]


def request_models(
    catalog: Sequence[ModelSettings],
    settings: IngressSettings,
    max_side: int,
    presets: Mapping[str, PresetFields],
) -> RequestModels:
    """Put the configured bounds and the catalog's ids into the request models.

    Args:
        catalog: The models.
        settings: Most bounds.
        max_side: The longest side of a result in pixels.
        presets: Sets of fields that a request may choose by name.
    """
    plain = ImageOptions.model_fields
    longest = settings.max_prompt_chars
    first = catalog[0]
    most_steps = max(model.max_steps for model in catalog)
    ids = [model.id for model in catalog]

    def bounded(
        name: str,
        annotation: Any,  # noqa: ANN401 - any type
        *,
        example: float | None = None,
        **constraints: Any,  # noqa: ANN401 - any constraint
    ) -> tuple[Any, Any]:
        field = plain[name]
        default = ... if field.is_required() else field.default
        examples = field.examples if example is None else [example]
        return annotation, Field(
            default, description=field.description, examples=examples, **constraints
        )

    fields: dict[str, Any] = {
        "prompt": bounded("prompt", Prompt | None, max_length=longest, validate_default=True),
        "negative_prompt": bounded("negative_prompt", str, max_length=longest),
        "model": bounded(
            "model", str | None, json_schema_extra={"enum": ids}, validate_default=True
        ),
        "num_images": bounded("num_images", int, ge=1, le=settings.max_images),
        "steps": bounded("steps", int | None, example=first.steps, ge=1, le=most_steps),
        "guidance_scale": bounded(
            "guidance_scale", float | None, example=first.guidance_scale, ge=0, le=MOST_GUIDANCE
        ),
        "strength": bounded("strength", float | None, example=first.strength, gt=0, le=1),
    }
    models = RequestModels(
        create_model("GenerateForm", __base__=GenerateForm, **fields),
        create_model("VariationBody", __base__=VariationBody, **fields),
        create_model("VariationForm", __base__=VariationForm, **fields),
    )
    for model in models:
        model.max_side, model.max_aspect = max_side, settings.limits.max_aspect
        model.presets = presets
    return models
