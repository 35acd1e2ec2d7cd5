"""FLUX.2 klein as a model: what it takes and refuses, what it encodes once, what it measures."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from stepped import Listener, a_job, a_photo
from stock_flux2 import a_mask

from deployments.diffusion.compute import capacity
from deployments.diffusion.families.flux2.model import Flux2Klein
from deployments.diffusion.families.flux2.tokens import painted, positions
from deployments.diffusion.families.registry import family_of
from deployments.errors import InvalidRequest
from deployments.family_traits import FAMILIES
from deployments.jobs import PreparedPhoto
from deployments.settings import ModelSettings
from tests.tiny_flux2 import tiny_flux2

parts_of = cache(tiny_flux2)
MASK = a_mask(64, 64)


def job(key: str = "a", **changes: Any) -> Any:
    return a_job(key, **({"guidance_scale": 1.0, "steps": 4} | changes))


def refused(photo: PreparedPhoto | None = None, **changes: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        Flux2Klein(parts_of()).check(job(**changes), photo or a_photo())
    return str(caught.value)


def test_what_a_job_takes() -> None:
    distilled, base = (Flux2Klein(parts_of(distilled=kind)) for kind in (True, False))
    edit = distilled.check(job(strength=0.1), a_photo(64, 96))
    # The whole canvas comes from noise, so that strength means nothing.
    assert (edit.layout, edit.rows, edit.steps) == ((64, 96, 64, 96), 1, 4)
    other = dataclasses.replace(a_photo(), references=(a_photo(80, 64).pixels,))
    assert distilled.check(job(), other).layout == (64, 64, 64, 64, 80, 64)
    kept = dataclasses.replace(a_photo(), mask=MASK)
    assert distilled.check(job(strength=0.6), kept).steps == 3
    assert base.check(job(guidance_scale=4.0), a_photo()).rows == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"guidance_scale": 4.0}, "guidance_scale: this model is distilled and takes none"),
        ({"negative_prompt": "dark"}, "negative_prompt: this model is distilled and takes none"),
        ({"steps": 1001}, "steps: this model takes 1 to 1000"),
    ],
)
def test_what_distilled_weights_refuse(changes: dict[str, Any], told: str) -> None:
    assert refused(**changes) == told


def test_a_size_that_is_no_multiple_of_a_token() -> None:
    assert refused(a_photo(64, 72)) == "width: this model takes multiples of 16, not 72"
    odd = dataclasses.replace(a_photo(), references=(a_photo(72, 64).pixels,))
    assert refused(odd) == "height: this model takes multiples of 16, not 72"


def test_no_step_is_left() -> None:
    kept = dataclasses.replace(a_photo(), mask=MASK)
    assert refused(kept, strength=1e-20) == "strength: 1e-20 leaves no step to take"


@pytest.mark.parametrize(
    ("steps", "strength", "taken"), [(4, 1.0, 4), (4, 0.9, 4), (4, 0.7, 3), (50, 0.01, 1)]
)
def test_strength_is_rounded_up_as_the_stock_pipeline_does(
    steps: int, strength: float, taken: int
) -> None:
    assert FAMILIES["flux2"].steps_taken(steps, strength) == taken
    assert FAMILIES["sd"].steps_taken(steps, strength) == int(steps * strength)


def test_a_text_that_is_too_long_is_told() -> None:
    model = Flux2Klein(parts_of(distilled=False))
    told = "was cut: the model reads 512 tokens, with those around it"
    long = "x" * 512
    assert model.prepare(job(prompt="x" * 400), a_photo()).warnings == ()
    assert model.prepare(job(prompt=long), a_photo()).warnings == (f"prompt {told}",)
    guided = job(negative_prompt=long, guidance_scale=3.0)
    assert model.prepare(guided, a_photo()).warnings == (f"negative_prompt {told}",)


def test_a_token_is_painted_by_the_share_of_its_middle() -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 16:] = 255
    mask[:24, 8:] = 255
    assert painted(mask, 16).flatten().tolist() == [0.5, 1.0, 0.25, 1.0]


def test_positions_of_references() -> None:
    found = positions((32, 32, 16, 48), 16)
    assert found.tolist() == [
        *([0, row, column, 0] for row in range(2) for column in range(2)),
        *([10, 0, column, 0] for column in range(3)),
    ]


def test_nothing_is_encoded_twice(
    start_engine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(distilled=False)
    counted: Counter[str] = Counter()
    for name, owner, method in (
        ("text", parts.text_encoders[0].model, "forward"),
        ("picture", parts.vae, "encode"),
    ):
        real = getattr(owner, method)

        def count(*args: Any, name: str = name, real: Any = real, **options: Any) -> Any:
            counted[name] += 1
            return real(*args, **options)

        monkeypatch.setattr(owner, method, count)
    engine = start_engine(Flux2Klein(parts))

    def request(photo: PreparedPhoto, **changes: Any) -> None:
        heard = [Listener() for _ in range(4)]
        for seed, one in enumerate(heard):
            engine.submit(job(str(seed), seed=seed, steps=2, **changes), photo, one)
        for one in heard:
            one.image()

    photo, result = a_photo(seed=1), a_photo(seed=2)
    request(photo)
    assert counted == {"text": 1, "picture": 1}
    # The same photo with its product kept, and a second row with an empty text.
    request(dataclasses.replace(photo, mask=MASK), guidance_scale=4.0)
    assert counted == {"text": 2, "picture": 1}
    # A conversation: the photo's tokens are known.
    request(dataclasses.replace(result, references=(photo.pixels,)), prompt="a sea")
    assert counted == {"text": 3, "picture": 2}


def settings(**changes: Any) -> ModelSettings:
    return ModelSettings(id="a", name="A", family="flux2", **changes)


@pytest.mark.parametrize(
    ("sides", "rows"),
    [
        ((64, 64) * 3, 12),
        ((64, 64) * 2, 12),
        ((128, 128) * 3, 3),
        ((64, 64, 64, 64, 128, 128), 6),
    ],
)
def test_references_count_as_pictures(sides: tuple[int, ...], rows: int) -> None:
    asked = settings(size=64, max_rows=12)
    runnable = family_of(asked).create_model(parts_of(), asked)
    assert runnable.capacity(*sides) == rows


def test_the_trial_is_an_edit_in_a_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    trials: list[capacity.Trial] = []
    module = "deployments.diffusion.families.flux2.family.rows_capacity"
    monkeypatch.setattr(module, lambda trial, _: trials.append(trial))
    asked = settings(size=64)
    parts = parts_of()
    seen: list[tuple[int, ...]] = []
    real = parts.transformer.forward

    def watch(**given: Any) -> Any:
        seen.append(tuple(given["hidden_states"].shape))
        return real(**given)

    monkeypatch.setattr(parts.transformer, "forward", watch)
    family_of(asked).create_model(parts, asked)
    (trial,) = trials
    assert trial.pixels == 3 * 64**2
    with torch.inference_mode():
        trial.forward(3)()
        assert seen == [(3, 3 * 16, 16)]
        for run in trial.beside:
            run()


def test_in_the_trial_each_row_remembers_references_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials: list[capacity.Trial] = []
    module = "deployments.diffusion.families.flux2.family.rows_capacity"
    monkeypatch.setattr(module, lambda trial, _: trials.append(trial))
    parts, asked = tiny_flux2(remembers=True), settings(size=64)
    modes: list[str] = []
    real = parts.transformer.forward

    def watch(**given: Any) -> Any:
        modes.append(given["kv_cache_mode"])
        return real(**given)

    monkeypatch.setattr(parts.transformer, "forward", watch)
    family_of(asked).create_model(parts, asked)
    run = trials[0].forward(3)
    modes.clear()
    run()
    assert modes == ["extract"] * 3 + ["cached"]
