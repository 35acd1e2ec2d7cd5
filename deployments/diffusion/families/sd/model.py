"""Stable Diffusion on a photo, split at its denoising steps.

It does image to image, with or without a mask, and inpainting with UNets made for it, each with or
without a ControlNet. The arithmetic and the order of random draws are those of diffusers' pipelines
for StableDiffusion and StableDiffusionXL. So a seed gives the image that the stock pipeline gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain

import torch

from deployments.diffusion.compute.autoencoder import Autoencoder, TorchAutoencoder
from deployments.diffusion.compute.networks import Networks, Rows
from deployments.diffusion.compute.samplers import Samplers
from deployments.diffusion.compute.transfer import to_device
from deployments.diffusion.engine.denoising import Demand
from deployments.diffusion.families.caching import Cache, digest
from deployments.diffusion.families.pictures import Frame, check_latents, to_pixels
from deployments.diffusion.families.row_order import in_lora_order
from deployments.diffusion.families.sd.conditioning import EncodedPhoto, PromptEncoder
from deployments.diffusion.families.sd.denoising import Control, Kept, PhotoDenoising
from deployments.diffusion.families.sd.schedulers import create_scheduler, most_steps
from deployments.errors import InvalidRequest
from deployments.jobs import ControlSettings, ImageJob, Pixels, PreparedPhoto

_CACHED_PHOTOS = 8


class StableDiffusion:
    """A UNet of Stable Diffusion's kind.

    Args:
        prompts: What encodes the texts, with the loaded modules.
        networks: What runs their UNet and ControlNet.
        scheduler: The sampler of every job.
        control_map: uint8 [height, width, 3] to the same: what the ControlNet is shown. Used only
            when the components have a ControlNet.
        tables: Whether to sample by tables; see `Samplers`.
        autoencoder: What runs the components' autoencoder; None for torch.
        control: How the ControlNet counts; used only when the components have one.
        square: The side in pixels of a square that is painted for every picture, and of which its
            part is cut: for weights that know no other shape. None paints in the picture's own.

    Attributes:
        control: See above.
    """

    def __init__(
        self,
        prompts: PromptEncoder,
        networks: Networks,
        scheduler: str,
        control_map: Callable[[Pixels], Pixels],
        tables: bool | None = None,
        autoencoder: Autoencoder | None = None,
        control: ControlSettings = ControlSettings(),  # noqa: B008 - immutable
        square: int | None = None,
    ) -> None:
        self.control = control
        self._square = square
        self._components = components = prompts.components
        self._networks = networks
        self._scheduler_name = scheduler
        self._scheduler = create_scheduler(scheduler, components.scheduler_config)
        self._prompts = prompts
        self._autoencoder = autoencoder or TorchAutoencoder(components.vae)
        self._control_map = control_map
        self._photos: Cache[EncodedPhoto] = Cache(_CACHED_PHOTOS)
        self._samplers = Samplers(self._scheduler, components.device, components.dtype, tables)

    @property
    def origin(self) -> str:
        """Where the weights came from, with their revision."""
        return self._components.origin

    def check(self, job: ImageJob, photo: PreparedPhoto) -> Demand:
        """Say what a job takes, and refuse what cannot run. Cheap; called from any thread.

        Raises:
            InvalidRequest: It names the field, its value and what is allowed.
        """
        limit, steps = most_steps(self._scheduler), job.settings.steps
        if not 1 <= steps <= limit:
            raise InvalidRequest(
                f"steps: scheduler {self._scheduler_name} takes 1 to {limit}, not {steps}"
            )
        if job.settings.denoising_steps < 1:
            raise InvalidRequest(
                f"strength: {job.settings.strength:g} of {steps} steps leaves none to take; "
                f"it must be at least {math.ceil(1000 / steps) / 1000:g}"
            )
        self._components.loras.check(job.settings.lora)
        rows = 2 if job.settings.guidance_scale > 1 else 1
        return Demand(self._frame(photo).size, rows, job.settings.denoising_steps)

    @torch.inference_mode()
    def prepare(self, job: ImageJob, photo: PreparedPhoto) -> PhotoDenoising:
        """Encode prompt and photo, and add the first step's noise to the photo's latents.

        Random numbers come from a generator on the CPU on every device, in the order of the stock
        pipelines: the sample of the autoencoder's distribution (if it has one, and if it is used),
        the noise, with a mask the sample for the masked photo, and then the steps' noise.

        Args:
            job: A job that passed `check`.
            photo: The picture and its mask, of any size; see `Frame`. Without a mask, a UNet for
                inpainting paints all of it.
        """
        parts, frame = self._components, self._frame(photo)
        photo = frame.put(photo)
        height, width = photo.pixels.shape[:2]
        conditioning = self._prompts.encode(job, height, width)
        encoded = self._encoded(photo)
        generator = torch.Generator().manual_seed(job.settings.seed)

        # With a mask, full strength starts from noise alone. Without one, the stock pipeline adds
        # the noise to the picture.
        masked = parts.inpainting or photo.mask is not None
        from_noise = masked and job.settings.strength == 1.0
        clean = None
        if not (parts.inpainting and from_noise):
            clean = encoded.draw(generator)
            # As the stock pipelines with masks do, because strides choose kernels.
            clean = clean.contiguous() if masked else clean
        noise = to_device(
            torch.randn(encoded.latent_shape, generator=generator, dtype=parts.dtype), parts.device
        )
        inpainting = None
        if parts.inpainting:
            inpainting = torch.cat([encoded.mask, encoded.draw_masked(generator)], dim=1)
        elif masked:
            encoded.skip_draw(generator)

        skipped = job.settings.steps - job.settings.denoising_steps
        sampler = self._samplers.start(job.settings.steps, skipped, generator, encoded.latent_shape)
        if clean is None or from_noise:
            latents = sampler.pure(noise)
        else:
            latents = sampler.noised(clean, noise, 0)
        kept = None
        if masked and not parts.inpainting and clean is not None:
            kept = Kept(encoded.mask, clean, noise)

        steps = len(sampler.timesteps)
        controlled = tuple(
            step / steps >= self.control.start and (step + 1) / steps <= self.control.end
            for step in range(steps)
        )
        control = None
        if parts.controlnet is not None and self.control.scale > 0 and any(controlled):
            control = Control(encoded.control, self.control.scale, controlled)
        return PhotoDenoising(
            frame=frame,
            sampler=sampler,
            timesteps=to_device(torch.tensor(sampler.timesteps, dtype=torch.float32), parts.device),
            latents=latents,
            conditioning=conditioning,
            guidance_scale=job.settings.guidance_scale,
            inpainting=inpainting,
            kept=kept,
            control=control,
            lora=job.settings.lora,
        )

    @torch.inference_mode()
    def predict(self, batch: Sequence[PhotoDenoising]) -> list[torch.Tensor]:
        """Run the networks once for the next step of every job.

        Args:
            batch: Jobs with latents of one size, each at any step with any settings.

        Returns:
            For each job the guided prediction, [1, channels, height / f, width / f].

        Raises:
            OutOfMemory: It did not fit. Nothing was changed, and fewer jobs may fit.
        """
        return in_lora_order(batch, self._predict)

    def _predict(self, batch: Sequence[PhotoDenoising]) -> list[torch.Tensor]:
        rows = [one.rows for one in batch]
        # Repeated, not expanded: so concatenation keeps the strides, which choose kernels.
        by_row = [one for one in batch for _ in range(one.rows)]
        scaled = [
            [one.sampler.scaled(one.latents, one.step).to(self._components.dtype)] * one.rows
            for one in batch
        ]
        inputs = list(chain.from_iterable(scaled))
        sample = torch.cat(inputs)
        inpainting = [one.inpainting for one in by_row if one.inpainting is not None]
        if inpainting:
            sample = torch.cat([sample, torch.cat(inpainting)], dim=1)
        conditionings = [one.conditioning for one in batch]
        controls = {
            row: one.control
            for row, one in enumerate(by_row)
            if one.control is not None and one.control.steps[one.step]
        }
        predicted = self._networks.predict(
            Rows(
                sample=sample,
                timesteps=torch.cat([one.timesteps[one.step].expand(one.rows) for one in batch]),
                embeddings=torch.cat([one.embeddings for one in conditionings]),
                added={
                    name: torch.cat([one.added[name] for one in conditionings])
                    for name in conditionings[0].added
                },
                control=_joined([control.embedded for control in controls.values()]),
                control_rows=tuple(controls),
                control_scales=tuple(control.scale for control in controls.values()),
                control_sample=_joined([inputs[row] for row in controls]),
                loras=tuple(one.lora for one in by_row),
            )
        )
        guided = []
        for one, prediction in zip(batch, torch.split(predicted, rows), strict=True):
            if one.rows == 2:
                without, with_prompt = prediction.chunk(2)
                prediction = without + one.guidance_scale * (with_prompt - without)
            guided.append(prediction)
        return guided

    @torch.inference_mode()
    def advance(self, denoising: PhotoDenoising, prediction: torch.Tensor) -> None:
        """Let the job's sampler take the step, and put back what is kept of the photo.

        Args:
            denoising: The job's state; it is changed.
            prediction: The guided prediction, [1, channels, height / f, width / f].
        """
        sampler, kept = denoising.sampler, denoising.kept
        latents = sampler.take(denoising.latents, prediction, denoising.step)
        denoising.step += 1
        if kept is not None:
            photo = kept.clean
            if denoising.step < denoising.steps:
                photo = sampler.noised(kept.clean, kept.noise, denoising.step)
            latents = (1 - kept.mask) * photo + kept.mask * latents
        denoising.latents = latents

    @torch.inference_mode()
    def decode(self, denoising: PhotoDenoising) -> Pixels:
        """Decode the latents to uint8 [height, width, 3].

        Raises:
            NotFinite: The latents or the picture hold NaN or infinity.
        """
        vae = self._components.vae
        check_latents(denoising.latents)
        latents = denoising.latents.to(vae.dtype) / vae.config.scaling_factor
        return denoising.frame.take(to_pixels(self._autoencoder.decode(latents)))

    def _frame(self, photo: PreparedPhoto) -> Frame:
        height, width = photo.pixels.shape[:2]
        return Frame(height, width, self._components.shrinks, self._square)

    def _encoded(self, photo: PreparedPhoto) -> EncodedPhoto:
        mask = None if photo.mask is None else digest(photo.mask)
        return self._photos.get(
            (digest(photo.pixels), mask),
            lambda: EncodedPhoto(self._components, self._autoencoder, self._control_map, photo),
        )


def _joined(rows: Sequence[torch.Tensor]) -> torch.Tensor | None:
    return torch.cat(list(rows)) if rows else None
