"""What the model refuses, what it computes once, and what a step never waits for."""

from __future__ import annotations

import copy
import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from stepped import SteppedModel, a_job, a_photo
from stock import a_mask

from deployments.diffusion.families.sd.conditioning import EncodedPhoto
from deployments.errors import InvalidRequest
from deployments.jobs import ControlSettings, PreparedPhoto


def masked_photo(seed: int = 0) -> PreparedPhoto:
    photo = a_photo(32, 32, seed=seed)
    return dataclasses.replace(photo, mask=a_mask(32, 32))


@pytest.mark.parametrize(
    ("scheduler", "changes", "said"),
    [
        ("ddim", {"steps": 1001}, "steps: scheduler ddim takes 1 to 1000, not 1001"),
        ("lcm", {"steps": 51}, "steps: scheduler lcm takes 1 to 50, not 51"),
        ("ddim", {"steps": 0}, "steps: scheduler ddim takes 1 to 1000, not 0"),
        (
            "pndm",
            {"steps": 3, "strength": 0.3},
            "strength: 0.3 of 3 steps leaves none to take; it must be at least 0.334",
        ),
    ],
)
def test_a_job_that_cannot_run_is_refused(
    components: Any, scheduler: Any, changes: Any, said: str
) -> None:
    model = SteppedModel.free(components(), scheduler)
    with pytest.raises(InvalidRequest) as caught:
        model.check(a_job(**changes), a_photo())
    assert str(caught.value) == said


def test_the_strength_a_refusal_names_is_enough(components: Any) -> None:
    model = SteppedModel.free(components(), "ddim")
    model.check(a_job(steps=3, strength=0.334), a_photo())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("height", "width"), [(32, 36), (30, 32), (4, 41)])
def test_a_size_that_the_autoencoder_cannot_take_gets_more_border(
    components: Any, height: int, width: int, masked: bool
) -> None:
    around = [(-side % 8 // 2, -side % 8 - -side % 8 // 2) for side in (height, width)]
    photo = PreparedPhoto(
        np.ascontiguousarray(a_photo().pixels[:height, :width]),
        a_mask(height, width) if masked else None,
    )
    larger = PreparedPhoto(
        np.pad(photo.pixels, (*around, (0, 0)), mode="edge"),
        None if photo.mask is None else np.pad(photo.mask, around, mode="edge"),
    )
    model = SteppedModel.free(components(controlnet=True), "ddim")
    assert model.check(a_job(), photo) == model.check(a_job(), larger)
    pictures = []
    for one in (photo, larger):
        state = model.prepare(a_job(), one)
        while state.step < state.steps:
            model.advance(state, *model.predict([state]))
        pictures.append(model.decode(state))
    (top, _), (left, _) = around
    assert pictures[0].shape == (height, width, 3)
    part = pictures[1][top : top + height, left : left + width]
    np.testing.assert_array_equal(pictures[0], part)


@pytest.mark.parametrize(("height", "width"), [(32, 64), (96, 48), (64, 64)])
def test_weights_that_know_squares_alone_paint_one_for_every_picture(
    components: Any, height: int, width: int
) -> None:
    photo = a_photo(height, width)
    model = SteppedModel.free(components(), "ddim", square=64)
    assert model.check(a_job(), photo).layout == (64, 64)
    state = model.prepare(a_job(), photo)
    assert state.latents.shape[2:] == (8, 8)
    while state.step < state.steps:
        model.advance(state, *model.predict([state]))
    made = model.decode(state)
    assert made.shape == (height, width, 3)
    if height == width:
        plain = SteppedModel.free(components(), "ddim")
        other = plain.prepare(a_job(), photo)
        while other.step < other.steps:
            plain.advance(other, *plain.predict([other]))
        np.testing.assert_array_equal(made, plain.decode(other))


@pytest.mark.parametrize("inpainting", [False, True])
def test_images_of_one_photo_and_prompt_encode_once(components: Any, inpainting: bool) -> None:
    parts = components(controlnet=True, inpainting=inpainting)
    counted: dict[str, int] = {"texts": 0, "pictures": 0, "maps": 0}

    def count(name: str) -> Any:
        def hook(*_: Any) -> None:
            counted[name] += 1

        return hook

    hooks = [
        parts.text_encoders[0].register_forward_hook(count("texts")),
        parts.vae.encoder.register_forward_hook(count("pictures")),
        parts.controlnet.controlnet_cond_embedding.register_forward_hook(count("maps")),
    ]
    model = SteppedModel.free(parts, "ddim")
    for seed in range(3):
        model.prepare(a_job(seed=seed), masked_photo())
    for hook in hooks:
        hook.remove()
    assert counted == {"texts": 2, "pictures": 2 if inpainting else 1, "maps": 1}


def test_another_mask_is_another_photo(components: Any) -> None:
    model = SteppedModel.free(components(inpainting=True), "ddim")
    photo = a_photo(32, 32)
    masks = [None, a_mask(32, 32), a_mask(32, 32).T.copy()]
    seen = []
    for mask in masks:
        inpainting = model.prepare(a_job(), dataclasses.replace(photo, mask=mask)).inpainting
        assert inpainting is not None
        seen.append(inpainting[:, 0])
    assert (seen[0] == 1).all()
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_photos_and_prompts_are_not_kept_for_ever(components: Any) -> None:
    parts = components()
    model = SteppedModel.free(parts, "ddim")
    seen = []
    hook = parts.vae.encoder.register_forward_hook(lambda *_: seen.append(1))
    for _ in range(2):
        for seed in range(9):
            model.prepare(a_job(), a_photo(32, 32, seed=seed))
    hook.remove()
    assert len(seen) == 18


def test_what_is_kept_of_the_photo_ends_as_the_photos_latents(components: Any) -> None:
    model = SteppedModel.free(components(), "dpmpp_2m")
    state = model.prepare(a_job(strength=1.0), masked_photo())
    assert state.kept is not None
    while state.step < state.steps:
        model.advance(state, *model.predict([state]))
    keep = (state.kept.mask == 0).expand_as(state.latents)
    assert keep.any()
    assert torch.equal(state.latents[keep], state.kept.clean[keep])
    assert not torch.equal(state.latents[~keep], state.kept.clean[~keep])


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, [True] * 8),
        ({"scale": 0.0}, []),
        ({"start": 0.25}, [False] * 2 + [True] * 6),
        ({"end": 0.5}, [True] * 4 + [False] * 4),
        ({"start": 0.45, "end": 0.5}, []),
    ],
)
def test_a_controlnet_counts_in_its_span(components: Any, changes: Any, steps: Any) -> None:
    model = SteppedModel.free(
        components(controlnet=True), "ddim", control=ControlSettings(**changes)
    )
    state = model.prepare(a_job(steps=8, strength=1.0), a_photo(32, 32))
    assert list(state.control.steps if state.control else []) == steps


@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("inpainting", [False, True])
def test_a_step_reads_nothing_back_from_the_device(
    components: Any, family: str, inpainting: bool
) -> None:
    # The meta device has shapes and no numbers: reading one raises, as waiting would on a GPU.
    parts = components(family=family, inpainting=inpainting, controlnet=True, dtype=torch.float16)
    meta = torch.device("meta")
    moved = dataclasses.replace(
        parts,
        **{name: copy.deepcopy(getattr(parts, name)).to(meta) for name in ("vae", "unet")},
        controlnet=copy.deepcopy(parts.controlnet).to(meta),
        text_encoders=tuple(copy.deepcopy(one).to(meta) for one in parts.text_encoders),
        device=meta,
    )
    model = SteppedModel.free(moved, "euler_a", tables=True)
    model.controls = {"a": ControlSettings(scale=0.0), "c": ControlSettings(end=0.5)}
    jobs = [
        (a_job("a", guidance_scale=1.0), masked_photo()),
        (a_job("b", strength=1.0, steps=4), masked_photo()),
        (a_job("c", steps=6), a_photo(32, 32)),
    ]
    states = [model.prepare(job, photo) for job, photo in jobs]
    while states:
        for state, prediction in zip(states, model.predict(states), strict=True):
            model.advance(state, prediction)
            assert state.latents.dtype == torch.float32
        states = [state for state in states if state.step < state.steps]


@pytest.mark.parametrize(("shrinks", "kept"), [(8, [3, 3]), (16, [1, 2]), (32, [1, 2])])
def test_a_coarse_latent_is_kept_where_all_of_its_pixels_are(shrinks: int, kept: list[int]) -> None:
    """One of up to 8 pixels is kept where its first pixel is, as the stock pipelines have it."""
    mask = np.full((2 * shrinks, 5 * shrinks), 255, np.uint8)
    mask[:, shrinks : 3 * shrinks + shrinks // 2] = 0  # two columns of latents, and half of one
    mask[shrinks // 2, 2 * shrinks + 1] = 255  # a pixel of the first row's second
    parts = SimpleNamespace(
        shrinks=shrinks, latent_channels=4, dtype=torch.float32, device=torch.device("cpu")
    )
    photo = PreparedPhoto(np.zeros((*mask.shape, 3), np.uint8), mask)
    encoded = EncodedPhoto(cast("Any", parts), cast("Any", None), lambda pixels: pixels, photo)
    assert (encoded.mask[0, 0] == 0).sum(1).tolist() == kept
