"""The engine with the real model: what its stages share, and numbers that are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gated import Recorder
from stepped import a_photo, submit

from deployments.diffusion.compute.networks import OutOfMemory, Rows, TorchNetworks
from deployments.diffusion.engine.step_engine import Engine
from deployments.diffusion.families.pictures import NotFinite
from deployments.diffusion.families.sd.control_maps import canny
from deployments.diffusion.families.sd.model import StableDiffusion
from deployments.errors import InvalidRequest
from tests.tiny_models import prompts_of


class Spoiled:
    """Networks that spoil the rows of jobs told by their prompts' embeddings.

    Attributes:
        memory: Rows that fit.
    """

    def __init__(self, networks: Any, value: float, memory: int = 100) -> None:
        self._networks = networks
        self._value = value
        self.memory = memory
        self.spoil: torch.Tensor | None = None

    def predict(self, rows: Rows) -> torch.Tensor:
        if len(rows.sample) > self.memory:
            raise OutOfMemory("too many rows")
        predicted = self._networks.predict(rows)
        for row, embedding in enumerate(rows.embeddings):
            if self.spoil is not None and torch.equal(embedding, self.spoil):
                predicted[row] = self._value
        return predicted


def a_model(parts: Any, networks: Any = None) -> StableDiffusion:
    networks = networks or TorchNetworks(parts.unet, parts.controlnet)
    return StableDiffusion(prompts_of(parts), networks, "ddim", canny)


def test_the_images_of_one_request_encode_once(
    components: Any, start_engine: Any, monkeypatch: Any
) -> None:
    parts = components(controlnet=True)
    encoded: list[str] = []
    for name, owner, method in (
        ("photo", parts.vae, "encode"),
        ("prompt", parts.text_encoders[0], "forward"),
    ):
        original = getattr(owner, method)

        def counted(
            *args: Any, _name: str = name, _original: Any = original, **options: Any
        ) -> Any:
            encoded.append(_name)
            return _original(*args, **options)

        monkeypatch.setattr(owner, method, counted)
    engine = start_engine(a_model(parts))
    listeners = [submit(engine, f"{seed}", seed=seed)[0] for seed in range(4)]
    pixels = [heard.image().pixels.tobytes() for heard in listeners]
    assert len(set(pixels)) == 4
    assert sorted(encoded) == ["photo", "prompt", "prompt"]
    submit(engine, "other", a_photo(seed=9))[0].image()
    assert sorted(encoded) == ["photo", "photo", "prompt", "prompt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_fail_their_job_alone(
    components: Any, start_engine: Any, value: float
) -> None:
    parts = components(vae="tiny")
    networks = Spoiled(TorchNetworks(parts.unet, None), value)
    model = a_model(parts, networks)
    tokens = parts.tokenizers[0](
        "bad", padding="max_length", max_length=16, truncation=True, return_tensors="pt"
    )
    with torch.inference_mode():
        networks.spoil = parts.text_encoders[0](tokens.input_ids)[0][0]
    engine = start_engine(model)
    heard = [submit(engine, prompt, prompt=prompt)[0] for prompt in ("good", "bad", "fine")]
    with pytest.raises(NotFinite, match="not finite"):
        raise heard[1].error()
    alone = submit(engine, "alone", prompt="good")[0].image()
    difference = heard[0].image().pixels.astype(int) - alone.pixels
    assert abs(difference).max() <= 1
    heard[2].image()
    engine.check()


def test_a_decoder_that_overflows_fails_its_job(
    components: Any, start_engine: Any, monkeypatch: Any
) -> None:
    parts = components()
    decode = parts.vae.decode

    def overflow(latents: Any, **options: Any) -> Any:
        return (decode(latents, **options)[0] * float("inf"),)

    monkeypatch.setattr(parts.vae, "decode", overflow)
    bad, _ = submit(start_engine(a_model(parts)))
    with pytest.raises(NotFinite, match="decoder overflowed"):
        raise bad.error()


def test_pictures_do_not_depend_on_how_much_fits(components: Any, start_engine: Any) -> None:
    parts = components()
    told = Recorder()
    pictures = []
    for memory, observer in ((100, Recorder()), (3, told)):
        networks = Spoiled(TorchNetworks(parts.unet, None), 0, memory)
        engine = start_engine(a_model(parts, networks), observer=observer)
        heard = [submit(engine, f"{seed}", seed=seed)[0] for seed in range(5)]
        pictures.append([one.image().pixels.astype(int) for one in heard])
    for one, other in zip(*pictures, strict=True):
        assert abs(one - other).max() <= 1
    assert told.out_of_memory >= 1


def test_settings_that_cannot_run_are_refused_before_they_wait(
    components: Any, start_engine: Any
) -> None:
    engine = start_engine(a_model(components()))
    for changes, field in (
        ({"steps": 10, "strength": 0.05}, "strength"),
        ({"steps": 1001}, "steps"),
    ):
        with pytest.raises(InvalidRequest, match=f"{field}: "):
            submit(engine, **changes)


def test_a_prompt_that_is_cut_is_warned_about(components: Any, start_engine: Any) -> None:
    engine = start_engine(a_model(components()))
    heard, _ = submit(engine, prompt="cup " * 30, negative_prompt="dark " * 30)
    warnings = heard.image().warnings
    assert [warning.split()[0] for warning in warnings] == ["negative_prompt", "prompt"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_pictures_do_not_depend_on_their_neighbours(components: Any) -> None:
    import copy
    import dataclasses

    parts = components(controlnet=True)
    device = torch.device("cuda")
    moved = {
        name: copy.deepcopy(getattr(parts, name)).to(device)
        for name in ("vae", "unet", "controlnet")
    }
    encoders = tuple(copy.deepcopy(one).to(device) for one in parts.text_encoders)
    there = dataclasses.replace(parts, **moved, text_encoders=encoders, device=device)
    engine = Engine(a_model(there), lambda height, width: 8, 1000, Recorder(), device)
    try:
        alone = submit(engine, "alone", seed=3)[0].image()
        heard = [
            submit(engine, f"{n}", a_photo(64, 64 + 16 * (n % 3), seed=n), seed=n)[0]
            for n in range(40)
        ]
        beside = submit(engine, "beside", seed=3)[0].image()
        for one in heard:
            one.image()
    finally:
        engine.close(drain_s=60)
    assert abs(alone.pixels.astype(int) - beside.pixels).max() <= 1
