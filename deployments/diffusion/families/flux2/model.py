"""FLUX.2 klein on a photo, split at its denoising steps.

Where a product is kept, it paints around it: the photo's own tokens are put back after each step.
Where none is, it edits: the whole picture is painted from noise. Either way it is shown the photo,
and perhaps further pictures, as references.

The arithmetic and the random draw are those of diffusers' Flux2KleinPipeline and
Flux2KleinInpaintPipeline. So a seed gives the image that the stock pipeline gives. References keep
the working size, where those pipelines make what is over a megapixel smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import diffusers
import torch

from deployments.diffusion.compute.autoencoder import TorchAutoencoder
from deployments.diffusion.compute.networks import within_memory
from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.engine.denoising import Demand
from deployments.diffusion.families.caching import Cache
from deployments.diffusion.families.chat_texts import ChatTextEncoder
from deployments.diffusion.families.flow_matching import Schedule
from deployments.diffusion.families.flux2.components import TEXT_LAYERS, Flux2Components
from deployments.diffusion.families.flux2.references import References, Shown, layout_of
from deployments.diffusion.families.flux2.schedule import make_schedule
from deployments.diffusion.families.flux2.tokens import PictureEncoder, pack, painted
from deployments.diffusion.families.pictures import check_latents, to_pixels
from deployments.diffusion.families.row_memories import RowMemories
from deployments.diffusion.families.row_order import in_lora_order
from deployments.errors import InvalidRequest
from deployments.family_traits import FAMILIES
from deployments.jobs import ControlSettings, ImageJob, Pixels, PreparedPhoto
from deployments.loras import Lora

_CACHED = 64
_MOST_STEPS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept of the photo.

    Attributes:
        mask: [1, tokens, 1]: the share of each token that the model paints.
        clean: The photo's tokens.
        noise: The job's noise, as tokens.
    """

    mask: torch.Tensor
    clean: torch.Tensor
    noise: torch.Tensor


@dataclass(slots=True, eq=False)
class EditDenoising:
    """One job between two of its steps. Tokens are [1, tokens, channels].

    Attributes:
        size: Height and width of the picture in pixels.
        schedule: Its times.
        latents: The tokens of the picture so far.
        shown: What the model sees beside it.
        texts: [rows, text tokens, width]: the prompt's, after the negative prompt's if guided.
        guidance_scale: Weight of the prompt against the negative prompt.
        kept: What is put back after each step; None where nothing is kept.
        warnings: Sentences about what the model could not honour.
        lora: Of its rows; None without.
        step: Number of steps done.
    """

    size: tuple[int, int]
    schedule: Schedule
    latents: torch.Tensor
    shown: Shown
    texts: torch.Tensor
    guidance_scale: float
    kept: Kept | None
    warnings: tuple[str, ...]
    lora: Lora | None = None
    step: int = 0

    @property
    def steps(self) -> int:
        """Number of steps this job takes in all."""
        return self.schedule.steps


class Flux2Klein:
    """A transformer of FLUX.2 klein's kind, with all that belongs to it."""

    control = ControlSettings()

    def __init__(self, parts: Flux2Components) -> None:
        self._parts = parts
        self._texts = ChatTextEncoder(parts, TEXT_LAYERS, parts.text_tokens)
        self._pictures = PictureEncoder(parts, TorchAutoencoder(parts.vae))
        kind: Any = diffusers.FlowMatchEulerDiscreteScheduler
        self._scheduler = kind.from_config(dict(parts.scheduler_config))
        self._schedules: Cache[Schedule] = Cache(_CACHED)
        self._references = References(parts, self._pictures)
        places = torch.zeros(parts.text_tokens, 4, dtype=torch.int64)
        places[:, 3] = torch.arange(parts.text_tokens)
        self._text_positions = places.to(parts.device)

    @property
    def origin(self) -> str:
        """Where the weights came from, with their revision."""
        return self._parts.origin

    def check(self, job: ImageJob, photo: PreparedPhoto) -> Demand:
        """Say what a job takes, and refuse what cannot run. Cheap; called from any thread.

        Raises:
            InvalidRequest: It names the field, its value and what is allowed.
        """
        settings, side = job.settings, self._parts.token_side
        guided = settings.guidance_scale > 1
        if not 1 <= settings.steps <= _MOST_STEPS:
            raise InvalidRequest(f"steps: this model takes 1 to {_MOST_STEPS}")
        steps = _taken(job, photo)
        if steps < 1:
            raise InvalidRequest(f"strength: {settings.strength:g} leaves no step to take")
        if self._parts.distilled and (guided or settings.negative_prompt):
            field = "guidance_scale" if guided else "negative_prompt"
            raise InvalidRequest(f"{field}: this model is distilled and takes none")
        self._parts.loras.check(settings.lora)
        layout = layout_of(photo)
        for place, pixels in enumerate(layout):
            if pixels < side or pixels % side:
                name = ("height", "width")[place % 2]
                raise InvalidRequest(f"{name}: this model takes multiples of {side}, not {pixels}")
        return Demand(layout, 2 if guided else 1, steps)

    @torch.inference_mode()
    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> EditDenoising:
        """Encode texts and pictures, and draw the noise, from a generator on the CPU.

        Args:
            job: A job that passed `check`.
            photo: The picture that is edited, with the mask around what is kept of it, and the
                references beside it.
        """
        parts, settings, size = self._parts, job.settings, layout_of(photo)[:2]
        texts, warnings = self._texts.encode(settings)
        shown = self._references.show(photo, settings.lora)
        rows, columns = (pixels // parts.token_side for pixels in size)
        drawn = torch.randn(
            (1, parts.token_channels, rows, columns),
            generator=torch.Generator().manual_seed(settings.seed),
            dtype=parts.dtype,
        )
        noise = to_device(pack(drawn), parts.device)
        plan = (rows * columns, settings.steps, _taken(job, photo))
        schedule = self._schedules.get(plan, lambda: make_schedule(self._scheduler, *plan, parts))
        kept, latents = None, noise
        if photo.mask is not None:
            mask = painted(photo.mask, parts.token_side).to(parts.dtype)
            kept = Kept(to_device(mask, parts.device), shown.photo, noise)
            latents = schedule.noised(shown.photo, noise, 0)
        return EditDenoising(
            size=(size[0], size[1]),
            schedule=schedule,
            latents=latents,
            shown=shown,
            texts=texts,
            guidance_scale=settings.guidance_scale,
            kept=kept,
            warnings=warnings,
            lora=settings.lora,
        )

    @torch.inference_mode()
    def predict(self, batch: Sequence[EditDenoising]) -> list[torch.Tensor]:
        """Run the transformer once for the next step of every job.

        Args:
            batch: Jobs of one layout, each at any step with any settings.

        Returns:
            For each job the guided prediction, [1, tokens, channels].

        Raises:
            OutOfMemory: It did not fit. Nothing was changed, and fewer jobs may fit.
        """
        return in_lora_order(batch, self._predict)

    def _predict(self, batch: Sequence[EditDenoising]) -> list[torch.Tensor]:
        rows = [one.texts.shape[0] for one in batch]
        loras = [one.lora for one, count in zip(batch, rows, strict=True) for _ in range(count)]
        tokens, times, memories = [], [], []
        for one, count in zip(batch, rows, strict=True):
            tokens += [torch.cat([one.latents, one.shown.tokens], dim=1)] * count
            times += [one.schedule.told[one.step].expand(count)]
            memories += [one.shown.memory] * count
        given: dict[str, Any] = {
            "hidden_states": torch.cat(tokens),
            "timestep": torch.cat(times),
            "encoder_hidden_states": torch.cat([one.texts for one in batch]),
            "img_ids": batch[0].shown.positions,
            "txt_ids": self._text_positions,
        }
        if self._parts.remembers:
            given |= {"kv_cache": RowMemories(memories), "kv_cache_mode": "cached"}
        with self._parts.loras.given_to(loras):
            run = partial(self._parts.transformer, **given, return_dict=False)
            (predicted,) = within_memory(run)
        guided = []
        for one, its_own in zip(batch, torch.split(predicted, rows), strict=True):
            prediction = its_own[:, : one.latents.shape[1]]
            if len(prediction) == 2:
                without, with_prompt = prediction.chunk(2)
                prediction = without + one.guidance_scale * (with_prompt - without)
            guided.append(prediction)
        return guided

    @torch.inference_mode()
    def advance(self, denoising: EditDenoising, prediction: torch.Tensor) -> None:
        """Take the step, by the guided prediction, and put back what is kept of the photo."""
        schedule, kept = denoising.schedule, denoising.kept
        latents = schedule.take(denoising.latents, prediction, denoising.step)
        denoising.step += 1
        if kept is not None:
            photo = kept.clean
            if denoising.step < denoising.steps:
                photo = schedule.noised(kept.clean, kept.noise, denoising.step)
            latents = (1 - kept.mask) * photo + kept.mask * latents
        denoising.latents = latents

    @torch.inference_mode()
    def decode(self, denoising: EditDenoising) -> Pixels:
        """Decode the latents to uint8 [height, width, 3].

        Raises:
            NotFinite: The latents or the picture hold NaN or infinity.
        """
        check_latents(denoising.latents)
        return to_pixels(self._pictures.decode(denoising.latents, *denoising.size))


def _taken(job: ImageJob, photo: PreparedPhoto) -> int:
    """The steps that a job takes; an edit takes all of them."""
    strength = 1.0 if photo.mask is None else job.settings.strength
    return FAMILIES["flux2"].steps_taken(job.settings.steps, strength)
