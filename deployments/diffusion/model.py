"""What the engine drives: Stable Diffusion's image to image, split at its denoising steps.

The arithmetic and the order of random draws are those of diffusers'
StableDiffusionImg2ImgPipeline and StableDiffusionControlNetImg2ImgPipeline, so a seed gives the
image that the stock pipeline gives. Knows no threads, queues, Ray or HTTP. One thread may use a
model at a time.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch

from deployments.diffusion.loading import Components
from deployments.diffusion.schedulers import create_scheduler, most_steps
from deployments.errors import InternalError, InvalidRequest
from deployments.jobs import ImageJob, Pixels, PreparedPhoto
from deployments.settings import SchedulerName

Value = TypeVar("Value")

_CACHED_PROMPTS = 64
_CACHED_PHOTOS = 8


class NotFinite(InternalError):
    """The model computed NaN or infinity for a job."""


@dataclass(slots=True, eq=False)
class Denoising:
    """One job between two of its steps.

    Latents are [1, channels, height / f, width / f], where f is what the autoencoder shrinks by.

    Attributes:
        scheduler: The job's own sampler; it remembers earlier steps.
        timesteps: The noise levels of the steps to take, [steps], on the model's device.
        latents: The picture so far.
        model_input: The latents as the network wants them for the next step.
        embeddings: [rows, tokens, width]: the prompt's, after the negative prompt's if guided.
        control: The control map, [1, 3, height, width], 0 to 1; None without a ControlNet.
        guidance_scale: Weight of the prompt against the negative prompt.
        step_options: What the sampler's step takes besides, such as the job's random generator.
        warnings: Sentences about what of the job the model could not honour.
        step: Steps done.
    """

    scheduler: Any
    timesteps: torch.Tensor
    latents: torch.Tensor
    model_input: torch.Tensor
    embeddings: torch.Tensor
    control: torch.Tensor | None
    guidance_scale: float
    step_options: dict[str, Any]
    warnings: tuple[str, ...] = ()
    step: int = 0

    @property
    def rows(self) -> int:
        """Rows of a forward pass that this job takes."""
        return self.embeddings.shape[0]

    @property
    def steps(self) -> int:
        """Steps this job takes in all."""
        return len(self.timesteps)


class DiffusionModel(Protocol):
    """A model whose jobs advance step by step, many jobs of one size in one forward pass."""

    @property
    def origin(self) -> str:
        """Where the weights came from, with their revision."""
        ...

    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> Denoising:
        """Make the state before a job's first step; may raise for this job alone."""
        ...

    def predict(self, batch: Sequence[Denoising]) -> list[torch.Tensor]:
        """Predict for one step of each, in one forward pass; may raise for all of them."""
        ...

    def advance(self, denoising: Denoising, prediction: torch.Tensor) -> None:
        """Take the predicted step; may raise for this job alone."""
        ...

    def decode(self, denoising: Denoising) -> Pixels:
        """Turn finished latents into a picture; may raise for this job alone."""
        ...


def rows_of(job: ImageJob) -> int:
    """Rows of a forward pass that a job takes: two with classifier-free guidance, else one."""
    return 2 if job.guidance_scale > 1 else 1


class StableDiffusion:
    """Stable Diffusion 1.x and 2.x without inpainting, with or without a ControlNet.

    Args:
        components: The loaded modules.
        scheduler: The sampler of every job.
        control_map: uint8 [height, width, 3] to the same: what the ControlNet is shown. Used only
            when the components have a ControlNet.
        control_scale: How strongly the ControlNet counts, 0 to 2.
    """

    def __init__(
        self,
        components: Components,
        scheduler: SchedulerName,
        control_map: Callable[[Pixels], Pixels],
        control_scale: float = 1.0,
    ) -> None:
        self._components = components
        self._scheduler_name = scheduler
        self._scheduler = create_scheduler(scheduler, components.scheduler_config)
        self._control_map = control_map
        self._control_scale = control_scale
        self._prompts: _Cache[_EncodedPrompt] = _Cache(_CACHED_PROMPTS)
        self._photos: _Cache[_EncodedPhoto] = _Cache(_CACHED_PHOTOS)

    @property
    def origin(self) -> str:
        """Where the weights came from, with their revision."""
        return self._components.origin

    @torch.inference_mode()
    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> Denoising:
        """Encode prompt and photo and noise the photo's latents to the first step's level.

        Random numbers come from a generator on the CPU, whatever the device: first the sample of
        the autoencoder's distribution (if it has one), then the noise.

        Args:
            job: The settings.
            photo: uint8 [height, width, 3]; both sides are multiples of SIDE_STEP.

        Raises:
            InvalidRequest: Steps or strength that the sampler cannot run.
        """
        parts = self._components
        scheduler: Any = copy.deepcopy(self._scheduler)
        limit = most_steps(scheduler)
        if job.steps > limit:
            raise InvalidRequest(
                f"steps: scheduler {self._scheduler_name} takes at most {limit}, not {job.steps}"
            )
        scheduler.set_timesteps(job.steps, device=parts.device)
        skipped = (job.steps - job.denoising_steps) * scheduler.order
        timesteps = scheduler.timesteps[skipped:]
        if not len(timesteps):
            raise InvalidRequest(
                f"strength: {job.strength:g} of {job.steps} steps leaves none to take"
            )
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(skipped)

        texts = {"prompt": job.prompt}
        if rows_of(job) == 2:
            texts = {"negative_prompt": job.negative_prompt, **texts}
        encodings = {field: self._encode_prompt(text) for field, text in texts.items()}
        warnings = [
            f"{field} was cut after {one.kept} tokens: the model reads no more"
            for field, one in encodings.items()
            if one.cut
        ]
        encoded = self._encode_photo(photo.pixels)

        generator = torch.Generator().manual_seed(job.seed)
        clean = encoded.draw(generator) * parts.vae.config.scaling_factor
        noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype).to(clean.device)
        latents = scheduler.add_noise(clean, noise, timesteps[:1])
        takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        return Denoising(
            scheduler=scheduler,
            timesteps=timesteps,
            latents=latents,
            model_input=scheduler.scale_model_input(latents, timesteps[0]),
            embeddings=torch.cat([one.embedding for one in encodings.values()]),
            control=encoded.control,
            guidance_scale=job.guidance_scale,
            step_options={"generator": generator} if takes_generator else {},
            warnings=tuple(warnings),
        )

    @torch.inference_mode()
    def predict(self, batch: Sequence[Denoising]) -> list[torch.Tensor]:
        """Run the networks once for the next step of every job.

        Args:
            batch: Jobs with latents of one size, each at any step with any settings.

        Returns:
            For each job the guided prediction, [1, channels, height / f, width / f].
        """
        parts = self._components
        rows = [one.rows for one in batch]
        sample = torch.cat([one.model_input.expand(one.rows, -1, -1, -1) for one in batch])
        # Samplers count in integers or in floats; the networks embed either as float32.
        timesteps = torch.cat([one.timesteps[one.step].float().expand(one.rows) for one in batch])
        embeddings = torch.cat([one.embeddings for one in batch])

        residuals: dict[str, Any] = {}
        if parts.controlnet is not None:
            controls = [
                one.control.expand(one.rows, -1, -1, -1) for one in batch if one.control is not None
            ]
            down, middle = parts.controlnet(
                sample,
                timesteps,
                encoder_hidden_states=embeddings,
                controlnet_cond=torch.cat(controls),
                conditioning_scale=self._control_scale,
                return_dict=False,
            )
            residuals = {
                "down_block_additional_residuals": down,
                "mid_block_additional_residual": middle,
            }
        predicted = parts.unet(
            sample, timesteps, encoder_hidden_states=embeddings, return_dict=False, **residuals
        )[0]

        guided = []
        for one, prediction in zip(batch, predicted.split(rows), strict=True):
            if one.rows == 2:
                without, with_prompt = prediction.chunk(2)
                prediction = without + one.guidance_scale * (with_prompt - without)
            guided.append(prediction)
        return guided

    @torch.inference_mode()
    def advance(self, denoising: Denoising, prediction: torch.Tensor) -> None:
        """Let the job's sampler take the step, and scale its input for the next one.

        Args:
            denoising: The job's state; it is changed.
            prediction: The guided prediction, [1, channels, height / f, width / f].
        """
        scheduler = denoising.scheduler
        denoising.latents = scheduler.step(
            prediction,
            denoising.timesteps[denoising.step],
            denoising.latents,
            **denoising.step_options,
            return_dict=False,
        )[0]
        denoising.step += 1
        if denoising.step < denoising.steps:
            timestep = denoising.timesteps[denoising.step]
            denoising.model_input = scheduler.scale_model_input(denoising.latents, timestep)

    @torch.inference_mode()
    def decode(self, denoising: Denoising) -> Pixels:
        """Decode the latents to uint8 [height, width, 3].

        Raises:
            NotFinite: The latents or the picture hold NaN or infinity.
        """
        vae = self._components.vae
        # Some decoders squash infinity into range, so the latents are looked at as well.
        if not denoising.latents.isfinite().all():
            raise NotFinite("the model computed no image for this job: its latents are not finite")
        decoded = vae.decode(denoising.latents / vae.config.scaling_factor, return_dict=False)[0]
        if not decoded.isfinite().all():
            raise NotFinite("the model computed no image for this job: its decoder overflowed")
        picture = (decoded[0] * 0.5 + 0.5).clamp(0, 1).cpu().permute(1, 2, 0).float().numpy()
        return np.asarray((picture * 255).round(), dtype=np.uint8)

    def _encode_prompt(self, text: str) -> _EncodedPrompt:
        known = self._prompts.get(text)
        if known is not None:
            return known
        parts = self._components
        room = parts.tokenizer.model_max_length
        tokens = parts.tokenizer(
            text, padding="max_length", max_length=room, truncation=True, return_tensors="pt"
        )
        whole = parts.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        embedding = parts.text_encoder(tokens.input_ids.to(parts.device))[0]
        kept = room - parts.tokenizer.num_special_tokens_to_add()
        return self._prompts.put(text, _EncodedPrompt(embedding, kept, len(whole) > kept))

    def _encode_photo(self, pixels: Pixels) -> _EncodedPhoto:
        key = (pixels.shape, hashlib.blake2b(pixels.tobytes()).digest())
        known = self._photos.get(key)
        if known is not None:
            return known
        parts = self._components
        control = None
        if parts.controlnet is not None:
            control = self._tensor(self._control_map(pixels)).to(parts.device, parts.dtype)
        picture = (2.0 * self._tensor(pixels) - 1.0).to(parts.device, parts.dtype)
        return self._photos.put(key, _EncodedPhoto(parts.vae.encode(picture), control))

    @staticmethod
    def _tensor(pixels: Pixels) -> torch.Tensor:
        """As float32 [1, 3, height, width], 0 to 1."""
        return torch.from_numpy(pixels.astype(np.float32) / 255.0).permute(2, 0, 1)[None]


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedPrompt:
    """What a text became.

    Attributes:
        embedding: [1, tokens, width].
        kept: Tokens of the text that the encoder can read.
        cut: The text has more of them.
    """

    embedding: torch.Tensor
    kept: int
    cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedPhoto:
    """What the photo became, before anything random.

    Attributes:
        encoding: The autoencoder's answer: latents, or a distribution of them.
        control: The control map, [1, 3, height, width], 0 to 1; None without a ControlNet.
    """

    encoding: Any
    control: torch.Tensor | None

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Latents of the photo, unscaled."""
        if hasattr(self.encoding, "latent_dist"):
            sample: torch.Tensor = self.encoding.latent_dist.sample(generator)
            return sample
        latents: torch.Tensor = self.encoding.latents
        return latents


class _Cache(Generic[Value]):
    """The most recently used values, so that the images of one request encode once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        self._values[key] = value
        if len(self._values) > self._size:
            self._values.popitem(last=False)
        return value
