"""One entry of the catalog: `args.models` in the Serve configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from deployments.family_traits import FAMILIES, FamilyTraits
from deployments.loras import MOST_SCALE, NAME
from deployments.strict_settings import Settings

RESERVED_NAMES = frozenset({"ingress", "admission", "studio", "storage", "finder"})
"""Names of the other deployments; no model may have one of them."""

StarterPrompt = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=100)]
"""One line, without space around it."""

MOST_ROWS = 256
"""The most rows of one forward pass."""


_OF_CONTROLNETS = ("control_map", "control_scale", "control_start", "control_end")


def _known(family: str) -> str:
    if family not in FAMILIES:
        raise ValueError(f"family {family!r} is not known; known families: {', '.join(FAMILIES)}")
    return family


class LoraSettings(Settings):
    """A low-rank adapter, which is fused into a model's weights or loaded beside them.

    Attributes:
        weights: A local folder or a Hub id.
        revision: Commit, tag or branch of a Hub id; required for one.
        file: The safetensors file in it.
        scale: The factor of its weights. With `per_request` that of requests that say none, -2 to
            2.
        per_request: It is not fused: requests choose it by its name.
        name: What requests call it; of those with `per_request`, and only of them.
    """

    weights: Annotated[str, StringConstraints(min_length=1)]
    revision: str | None = None
    file: Annotated[str, StringConstraints(pattern=r"^[^/].*\.safetensors$")] = (
        "pytorch_lora_weights.safetensors"
    )
    scale: float = Field(1.0, ge=-4, le=4)
    per_request: bool = False
    name: Annotated[str, StringConstraints(pattern=f"^{NAME}$")] | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.per_request and self.name is None:
            raise ValueError("a LoRA with per_request needs a name, which requests choose it by")
        if self.name is not None and not self.per_request:
            raise ValueError(f"name {self.name!r} is of a LoRA without per_request, which has none")
        if self.per_request and abs(self.scale) > MOST_SCALE:
            raise ValueError(
                f"scale {self.scale:g} of the LoRA {self.name!r} is not within -{MOST_SCALE:g} to "
                f"{MOST_SCALE:g}, as with per_request it has to be"
            )
        return self


class ModelSettings(Settings):
    """One entry of the catalog. One deployment with its id as name serves it.

    Attributes:
        id: The name in requests, and the name of the Serve deployment.
        name: The name that a person reads in a list of models.
        family: The kind of the networks, by the name of a folder in `diffusion/families`. What the
            family has as defaults goes before the defaults here.
        weights: `demo` for the weights in this package, a local diffusers folder, or a Hub id.
        revision: Commit, tag or branch of a Hub id. A Hub id needs one, so that the weights cannot
            change.
        vae: Weights of another autoencoder, a tiny one for example, named like `weights`; None
            takes the one in the weights.
        vae_revision: Its revision, as above.
        loras: Low-rank adapters; those without `per_request` are fused into the weights in this
            order.
        controlnet: Weights of a ControlNet, named like `weights`; None for image to image without.
        controlnet_revision: Its revision, as above.
        control_map: What the ControlNet is shown.
        control_scale: The factor of its residuals, 0 to 2.
        control_start: Share of the denoising steps after which it begins.
        control_end: Share of the denoising steps after which it ends.
        scheduler: The sampler, one of the family's.
        size: Working size: images are denoised at about size x size pixels, in their own aspect.
        steps: Default number of scheduler steps.
        max_steps: The most steps that a request may ask for.
        guidance_scale: Default classifier-free guidance.
        strength: Default distance from the photo, above 0 to 1.
        distilled: The weights were distilled to few steps and take no guidance.
        device: `auto` takes CUDA if there is a CUDA device.
        dtype: The number type. `auto` is the family's half precision on CUDA, and on a CPU bfloat16
            if the processor has instructions for it, else float32.
        text_encoder: Where texts are encoded: `device` is the model's own, `cpu` leaves that one's
            memory to the pictures, and `int8` is the device with weights of 8 bits.
        backend: What runs UNet, ControlNet and autoencoder. `auto` takes OpenVINO on a CPU where it
            is installed, and torch elsewhere.
        compile: Compile UNet and ControlNet with torch for fixed numbers of rows. The start is
            slower, and the steps are faster. On CUDA it records graphs.
        threads: Threads of a replica's computations; None for one per core.
        max_rows: UNet rows in one forward of a picture of size x size; larger pictures get fewer.
            A guided image takes two rows. None measures the memory on CUDA, and is 16 elsewhere.
        safety: The filter of its results: `nsfw`, or `off`.
        safety_threshold: From this score of the filter a result is withheld, 0 to 1.
        max_waiting: Images that may wait for their first step in a replica; more are refused.
        starter_prompts: What it draws well, for a page to suggest.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    family: Annotated[str, AfterValidator(_known)] = "sd"
    weights: Annotated[str, StringConstraints(min_length=1)] = "demo"
    revision: str | None = None
    vae: Annotated[str, StringConstraints(min_length=1)] | None = None
    vae_revision: str | None = None
    loras: tuple[LoraSettings, ...] = ()
    controlnet: str | None = None
    controlnet_revision: str | None = None
    control_map: Literal["canny"] = "canny"
    control_scale: float = Field(1.0, ge=0, le=2)
    control_start: float = Field(0.0, ge=0, lt=1)
    control_end: float = Field(1.0, gt=0, le=1)
    scheduler: str = "dpmpp_2m"
    size: int = Field(512, ge=64, le=2048, multiple_of=16)
    steps: int = Field(20, ge=1, le=200)
    max_steps: int = Field(100, ge=1, le=200)
    guidance_scale: float = Field(7.5, ge=0, le=30)
    strength: float = Field(0.8, gt=0, le=1)
    distilled: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    text_encoder: Literal["device", "cpu", "int8"] = "device"
    backend: Literal["auto", "torch", "openvino"] = "auto"
    compile: bool = False
    threads: int | None = Field(None, ge=1)
    max_rows: int | None = Field(None, ge=2, le=MOST_ROWS)
    safety: Literal["off", "nsfw"] = "off"
    safety_threshold: float = Field(0.8, ge=0, le=1)
    max_waiting: int = Field(64, ge=1, le=10_000)
    starter_prompts: Annotated[tuple[StarterPrompt, ...], Field(max_length=12)] = ()

    @property
    def demo(self) -> bool:
        """Whether it has the small weights that are bundled."""
        return self.weights == "demo"

    @property
    def traits(self) -> FamilyTraits:
        """What its family takes."""
        return FAMILIES[self.family]

    @property
    def fused_loras(self) -> tuple[LoraSettings, ...]:
        """The LoRAs in its weights."""
        return tuple(lora for lora in self.loras if not lora.per_request)

    @property
    def request_loras(self) -> Mapping[str, LoraSettings]:
        """By their names the LoRAs that requests choose."""
        return {lora.name: lora for lora in self.loras if lora.name is not None}

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was written
        if isinstance(given, Mapping) and given.get("family") in FAMILIES:
            return {**FAMILIES[given["family"]].defaults, **given}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.id in RESERVED_NAMES:
            raise ValueError(f"model id {self.id!r} is the name of another deployment")
        if len(set(self.starter_prompts)) < len(self.starter_prompts):
            raise ValueError(f"starter_prompts of model {self.id!r} have one twice")
        if self.steps > self.max_steps:
            raise ValueError(
                f"steps {self.steps} of model {self.id!r} is over its max_steps {self.max_steps}"
            )
        if self.control_start >= self.control_end:
            raise ValueError(
                f"control_start {self.control_start:g} of model {self.id!r} is not under its "
                f"control_end {self.control_end:g}"
            )
        for problem in (*self._refused(), *self._unfit_loras()):
            raise ValueError(problem)
        return self

    def _unfit_loras(self) -> Iterator[str]:
        """Say what does not go with LoRAs that requests choose."""
        names = [lora.name for lora in self.loras if lora.per_request]
        if twice := sorted({name for name in names if name and names.count(name) > 1}):
            yield f"loras of model {self.id!r} have the name {twice[0]!r} twice"
        if names and self.backend == "openvino":
            yield (
                f"backend openvino of model {self.id!r} runs no loras with per_request: set "
                "backend to auto or torch"
            )
        if names and self.compile:
            yield (
                f"compile of model {self.id!r} compiles no loras with per_request: set compile to "
                "false"
            )

    def _refused(self) -> Iterator[str]:
        """Say what the family does not take."""
        traits, of, fields = self.traits, f"of model {self.id!r}", type(self).model_fields
        if self.scheduler not in traits.schedulers:
            yield (
                f"scheduler {self.scheduler!r} {of} is none of family {self.family}, which has "
                f"{', '.join(traits.schedulers)}"
            )
        for field, asked, taken in (
            ("controlnet", self.controlnet is not None, traits.controlnet),
            *(
                (name, getattr(self, name) != fields[name].default, traits.controlnet)
                for name in _OF_CONTROLNETS
            ),
            ("vae", self.vae is not None, traits.vae),
            ("backend openvino", self.backend == "openvino", traits.openvino),
            ("compile", self.compile, traits.compile),
            ("distilled", self.distilled, traits.distilled),
            ("text_encoder", self.text_encoder != "device", traits.language_model),
        ):
            if asked and not taken:
                yield f"{field} {of}: family {self.family} does not take it"
        if self.distilled and self.guidance_scale > 1:
            yield (
                f"guidance_scale {self.guidance_scale:g} {of} is over 1, and distilled weights "
                "take no guidance"
            )
