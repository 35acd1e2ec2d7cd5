"""What a caller asks for, and what is to be done for it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from deployments.composition import AS_THE_PHOTO, DEFAULT_LOOK, Canvas, Look
from deployments.errors import InvalidRequest, UnknownModel
from deployments.ingress.core.result_urls import new_key
from deployments.jobs import GenerationSettings, ImageJob, Preserve
from deployments.settings import ModelSettings

SEEDS = 2**32
"""Seeds are 0 to SEEDS - 1; the images of a request take consecutive ones."""

_SYNTAX = re.compile(r"\([^()]{1,100}:\s*-?\d*\.?\d+\)|<(?:lora|lyco|hypernet):[^<>]{1,100}>", re.I)
"""Weights and LoRAs in prompts, as other programs write them."""

_NEWER = ("canvas", "look")
"""Fields that a digest leaves out at their defaults, so that older digests stay true."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks for; None leaves a value to the model's default.

    Attributes:
        model: Catalog id; None where no model paints and none was named.
        prompt: What the images shall show; empty where no model paints and none was given.
        num_images: How many to make.
        negative_prompt: What they shall not show.
        seed: Seed of the first image.
        steps: Scheduler steps.
        guidance_scale: Classifier-free guidance.
        strength: Distance from the photo, above 0 to 1.
        preserve: Whether the product is kept.
        canvas: The picture, and the product's place in it.
        look: How it is composed.
    """

    model: str | None
    prompt: str
    num_images: int
    negative_prompt: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    preserve: Preserve = "auto"
    canvas: Canvas = AS_THE_PHOTO
    look: Look = DEFAULT_LOOK

    def check(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            InvalidRequest: Something is asked of a product that is not to be kept.
        """
        if self.preserve != "false":
            return
        for field, asked in {
            "background": not self.look.painted,
            "padding": self.canvas.padding is not None,
            "product_position": self.canvas.position is not None,
            "shadow": self.look.shadow not in (None, "none"),
            "harmonize": self.look.harmonize > 0,
        }.items():
            if asked:
                raise InvalidRequest(
                    f"{field}: it is of a product that is kept, and preserve_product=false keeps "
                    "none: send one of them"
                )

    def document(self) -> dict[str, object]:
        """Every field, for the digest of what was asked for."""
        document = asdict(self)
        for field in fields(self):
            if field.name in _NEWER and getattr(self, field.name) == field.default:
                del document[field.name]
        return document

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what will not have the effect that it may be meant to have."""
        if not self.look.painted:
            names = ("prompt", "negative_prompt", "steps", "guidance_scale", "strength")
            given = [name for name in names if getattr(self, name) not in (None, "")]
            told = f"background={self.look.background} is painted by no model: "
            return (f"{told}{', '.join(given)} had no effect",) if given else ()
        prompts = {"prompt": self.prompt, "negative_prompt": self.negative_prompt}
        return tuple(
            f"{name}: {found[0]} is read as letters: weights and LoRAs have no syntax here"
            for name, prompt in prompts.items()
            if (found := _SYNTAX.search(prompt))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """The files of a request, as they were sent.

    Attributes:
        image: The photo; None takes that of the cut-out.
        product_mask: Marks the product.
        background_image: What is behind the product.
        mask_by_alpha: Whether the mask's opaque part marks the product, and not its white.
    """

    image: bytes | None = None
    product_mask: bytes | None = None
    background_image: bytes | None = None
    mask_by_alpha: bool = False


@dataclass(frozen=True, slots=True)
class PlainJob:
    """One image that no model paints.

    Attributes:
        key: The object key of the result, chosen before the work starts.
    """

    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """An order that can be served.

    Attributes:
        model: The model's settings; None where no model paints.
        jobs: One for each image: all for the model, or one without.
        shape_floor: See `Generation`; 0 where a seed was asked for, since the same seed gives the
            same image, and where no model paints.
        order: The order.
    """

    model: ModelSettings | None
    jobs: tuple[ImageJob, ...] | tuple[PlainJob]
    shape_floor: float
    order: Order

    @property
    def image_keys(self) -> list[str]:
        """The keys of the results."""
        return [job.key for job in self.jobs]


def planned(order: Order, catalog: Sequence[ModelSettings], shape_floor: float) -> Plan:
    """Plan an order against the catalog.

    Args:
        order: What to make.
        catalog: The models.
        shape_floor: See `Generation`.

    Raises:
        UnknownModel: It is not in the catalog.
        InvalidRequest: A value that the model cannot run, or a contradiction; the sentence names
            the field.
    """
    model = next((model for model in catalog if model.id == order.model), None)
    if model is None and (order.look.painted or order.model is not None):
        known = ", ".join(model.id for model in catalog)
        raise UnknownModel(f"model {order.model!r} is not known; known models: {known}")
    order.check()
    if model is None or not order.look.painted:
        return Plan(None, (PlainJob(new_key()),), 0.0, order)
    settings = _settings(order, model)
    jobs = [
        ImageJob(new_key(), replace(settings, seed=(settings.seed + index) % SEEDS))
        for index in range(order.num_images)
    ]
    return Plan(model, tuple(jobs), shape_floor if order.seed is None else 0.0, order)


def _settings(order: Order, model: ModelSettings) -> GenerationSettings:
    """What the first image is made with."""
    steps = model.steps if order.steps is None else order.steps
    strength = model.strength if order.strength is None else order.strength
    if steps > model.max_steps:
        raise InvalidRequest(
            f"steps: model {model.id!r} takes at most {model.max_steps}, not {steps}"
        )
    settings = GenerationSettings(
        prompt=order.prompt,
        negative_prompt=order.negative_prompt,
        seed=secrets.randbelow(SEEDS) if order.seed is None else order.seed,
        steps=steps,
        guidance_scale=model.guidance_scale
        if order.guidance_scale is None
        else order.guidance_scale,
        strength=strength,
    )
    if settings.denoising_steps < 1:
        raise InvalidRequest(
            f"strength: {strength:g} of {steps} steps leaves none to take; "
            f"at least {1 / steps:g} is needed"
        )
    return settings
