"""What a caller asks for, and what is to be done for it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

from deployments.composition import AS_THE_PHOTO, DEFAULT_LOOK, Canvas, FileFormat, Look
from deployments.errors import InvalidRequest, UnknownModel
from deployments.ingress.core.keys import new_key
from deployments.ingress.core.result_urls import ResultName
from deployments.ingress.core.sent_files import SentFile
from deployments.jobs import GenerationSettings, ImageJob, Preserve
from deployments.loras import Lora
from deployments.settings import ModelSettings

SEEDS = 2**32
"""Seeds are 0 to SEEDS - 1; the images of a request take consecutive ones."""

_SYNTAX = re.compile(r"\([^()]{1,100}:\s*-?\d*\.?\d+\)|<(?:lora|lyco|hypernet):[^<>]{1,100}>", re.I)
"""Weights and LoRAs in prompts, as other programs write them."""

_NEWER = ("canvas", "look", "lora", "lora_scale")
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
        lora: The name of a LoRA of the model; None for none.
        lora_scale: Its factor.
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
    lora: str | None = None
    lora_scale: float | None = None

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
            names = ("prompt", "negative_prompt", "steps", "guidance_scale", "strength", "lora")
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
        style_image: What an editing model looks at beside the photo.
        mask_by_alpha: Whether the mask's opaque part marks the product, and not its white.
    """

    image: SentFile | None = None
    product_mask: SentFile | None = None
    background_image: SentFile | None = None
    style_image: SentFile | None = None
    mask_by_alpha: bool = False

    @property
    def beside(self) -> dict[str, SentFile]:
        """By their fields the pictures that came beside the photo."""
        sent = {"background_image": self.background_image, "style_image": self.style_image}
        return {name: file for name, file in sent.items() if file is not None}


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the two requests that make images, but for its files.

    Attributes:
        order: What to make.
        cutout: The key of the cut-out that is kept; None without one.
        image_key: The key of the result that is varied; None makes images from a photo.
        image_format: What the ending of its URL stands for; None where that is not known.
    """

    order: Order
    cutout: str | None = None
    image_key: str | None = None
    image_format: FileFormat | None = None

    @property
    def result(self) -> ResultName | None:
        """The result that is varied."""
        return None if self.image_key is None else ResultName(self.image_key, self.image_format)

    def document(self) -> dict[str, object]:
        """Every field, for the digest of what was asked for; a key has one format."""
        document = asdict(self) | {"order": self.order.document()}
        del document["image_format"]
        return document


@dataclass(frozen=True, slots=True)
class PlainJob:
    """One image that no model paints.

    Attributes:
        key: The object key of the result, chosen before the work starts.
    """

    key: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a plan leaves to chance, so that the same plan can be made again.

    Attributes:
        seed: Of the first image; 0 where no model paints.
        image_keys: The object keys of the results, in order.
        source_key: The object key under which a photo, or a product that is found, is kept.
    """

    seed: int
    image_keys: tuple[str, ...]
    source_key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """An order that can be served.

    Attributes:
        model: The model's settings; None where no model paints.
        jobs: One for each image: all for the model, or one without.
        shape_floor: See `Generation`; 0 where a seed was asked for, since the same seed gives the
            same image, and where no model paints.
        order: The order.
        source_key: See `Fixed`.
        undrawn: Sentences about what of the prompt the model cannot draw.
    """

    model: ModelSettings | None
    jobs: tuple[ImageJob, ...] | tuple[PlainJob]
    shape_floor: float
    order: Order
    source_key: str
    undrawn: tuple[str, ...] = ()

    @property
    def image_keys(self) -> list[str]:
        """The keys of the results."""
        return [job.key for job in self.jobs]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about what will not have the effect that it may be meant to have."""
        first = self.jobs[0]
        if not isinstance(first, ImageJob):
            return self.order.warnings
        settings, told = first.settings, (*self.undrawn, *self.order.warnings)
        if not settings.negative_prompt or settings.guidance_scale > 1:
            return told
        return (
            *told,
            f"negative_prompt: with a guidance_scale of {settings.guidance_scale:g} it had no "
            "effect: it needs more than 1",
        )

    @property
    def fixed(self) -> Fixed:
        """What it left to chance."""
        first = self.jobs[0]
        seed = first.settings.seed if isinstance(first, ImageJob) else 0
        return Fixed(seed, tuple(self.image_keys), self.source_key)


def planned(
    order: Order,
    catalog: Sequence[ModelSettings],
    shape_floor: float,
    fixed: Fixed | None = None,
) -> Plan:
    """Plan an order against the catalog.

    Args:
        order: What to make.
        catalog: The models.
        shape_floor: See `Generation`.
        fixed: Of the plan that is made again; None leaves it to chance.

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
    painted = model is not None and order.look.painted
    if fixed is None:
        images = order.num_images if painted else 1
        seed = secrets.randbelow(SEEDS) if order.seed is None else order.seed
        # In the order in which a list of results has them.
        fixed = Fixed(seed, tuple(sorted(new_key() for _ in range(images))), new_key())
    if model is None or not painted:
        return Plan(None, (PlainJob(fixed.image_keys[0]),), 0.0, order, fixed.source_key)
    _check_model(order, model)
    settings = _settings(order, model, fixed.seed)
    jobs = [
        ImageJob(key, replace(settings, seed=(settings.seed + index) % SEEDS))
        for index, key in enumerate(fixed.image_keys)
    ]
    floor = shape_floor if order.seed is None else 0.0
    return Plan(model, tuple(jobs), floor, order, fixed.source_key)


def check_edit(order: Order, model: ModelSettings) -> None:
    """Refuse what a model cannot honour that edits the photo as a whole.

    Raises:
        InvalidRequest: It names the field and the model.
    """
    if order.strength not in (None, 1.0):
        raise InvalidRequest(
            f"strength: model {model.id!r} paints the whole picture anew where no product is kept,"
            f" so it takes none but 1, not {order.strength:g}"
        )


def _check_model(order: Order, model: ModelSettings) -> None:
    """Refuse what the model's weights and mode cannot honour."""
    if model.distilled:
        told = f"model {model.id!r} has distilled weights, which take no guidance"
        if order.negative_prompt:
            raise InvalidRequest(f"negative_prompt: {told}")
        if order.guidance_scale is not None and order.guidance_scale > 1:
            raise InvalidRequest(f"guidance_scale: {told}: at most 1, not {order.guidance_scale:g}")
    if model.traits.edits and order.preserve == "false":
        check_edit(order, model)


def _settings(order: Order, model: ModelSettings, seed: int) -> GenerationSettings:
    """What the first image is made with."""
    steps = model.steps if order.steps is None else order.steps
    strength = model.strength if order.strength is None else order.strength
    if model.traits.edits and order.preserve == "false":
        strength = 1.0
    if steps > model.max_steps:
        raise InvalidRequest(
            f"steps: model {model.id!r} takes at most {model.max_steps}, not {steps}"
        )
    if model.traits.steps_taken(steps, strength) < 1:
        raise InvalidRequest(
            f"strength: {strength:g} of {steps} steps leaves none to take; "
            f"at least {1 / steps:g} is needed"
        )
    return GenerationSettings(
        prompt=order.prompt,
        negative_prompt=order.negative_prompt,
        seed=seed,
        steps=steps,
        guidance_scale=model.guidance_scale
        if order.guidance_scale is None
        else order.guidance_scale,
        strength=strength,
        lora=_lora(order, model),
    )


def _lora(order: Order, model: ModelSettings) -> Lora | None:
    """The LoRA that an order names; its own scale is the one that the catalog says."""
    if order.lora is None:
        return None
    offered = model.request_loras
    if order.lora not in offered:
        has = f"it has {', '.join(offered)}" if offered else "it has none that requests choose"
        raise InvalidRequest(f"lora: model {model.id!r} has no LoRA {order.lora!r}: {has}")
    usual = offered[order.lora].scale
    return Lora(order.lora, usual if order.lora_scale is None else order.lora_scale)
